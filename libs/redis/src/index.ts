export * from "./cluster/index.ts";
export * from "./commands/index.ts";
export * from "./connection/index.ts";
export * from "./glob/index.ts";
export * from "./info-fields.ts";
export * from "./rdb/index.ts";
export * from "./resp/index.ts";
export * from "./slot.ts";
