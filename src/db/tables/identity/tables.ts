// biome-ignore lint/suspicious/noEmptyInterface: filled by the identity service
export interface IdentityTables {}
