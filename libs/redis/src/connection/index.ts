export { Connection } from "./connection.ts";
export type { ConnectionOptions, ReplyReader } from "./connection.ts";
export { ConnectionLost } from "./connection-lost.ts";
export { credentialsFor, endpointName } from "./endpoint.ts";
export type { Credentials, Endpoint, EndpointTls, Sentinels } from "./endpoint.ts";
export { tlsOptions } from "./tls.ts";
