export { commandDefinition } from "./command-definition.ts";
export type { CommandDefinition } from "./command-definition.ts";
export { CommandId } from "./command-id.ts";
export { CommandKind } from "./command-kind.ts";
export { commandTable } from "./command-table.ts";
export { carriesExpiry } from "./expiry-place.ts";
export type { ExpiryForm, ExpiryPlace } from "./expiry-place.ts";
export { absoluteExpiry, ExpiryError, shiftExpiry } from "./rewrite-expiry.ts";
export { withoutTrimLimit } from "./trim-limit.ts";
