export { RouterService, type RouterDeps } from "./router-service.ts";
