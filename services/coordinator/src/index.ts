export { createApi } from "./api/api-server.ts";
export { CoordinatorService, type CoordinatorDeps } from "./coordinator-service.ts";
