// biome-ignore lint/suspicious/noEmptyInterface: filled by the network service
export interface NetworkTables {}
