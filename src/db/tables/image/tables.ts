// biome-ignore lint/suspicious/noEmptyInterface: filled by the image service
export interface ImageTables {}
