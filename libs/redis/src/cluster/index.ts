export * from "./cluster-connections.ts";
export * from "./cluster-nodes.ts";
export * from "./cluster-slots.ts";
export * from "./deployment.ts";
export * from "./look-at-deployment.ts";
export { lookThroughSentinels, primaryBySentinels, sentinelConnections } from "./sentinel.ts";
