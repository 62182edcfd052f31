export type { ElementCommand } from "./command-chunk.ts";
export { DestinationLimits } from "./destination-limits.ts";
export type { DestinationServer } from "./destination-limits.ts";
export { ElementCommands, elementCommands, isStream, PendingIdReader, pendingIds } from "./element-commands.ts";
export type { ElementCommandOptions } from "./element-commands.ts";
export { hasElements } from "./element-reader.ts";
export type { PendingIds } from "./pending-ids.ts";
