export { Connection } from "./connection.ts";
export type { ConnectionOptions, ReplyReader } from "./connection.ts";
export { ConnectionLost } from "./connection-lost.ts";
export { endpointName } from "./endpoint.ts";
export type { Endpoint, EndpointTls, Sentinels } from "./endpoint.ts";
