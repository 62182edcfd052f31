export { Bus, type BusOptions } from "./bus.ts";
export type { BusFacts, JetStreamFacts } from "./bus-facts.ts";
export { connectBus } from "./connect-bus.ts";
export { LaneReader } from "./lane-reader.ts";
export { LaneStream, type AppendResult, type PlacedMessage, type StoredMessage, type StreamSize } from "./lane-stream.ts";
export { Leases, type HeldLease } from "./leases.ts";
export { beMember, MEMBER_BEAT_MS, MEMBER_TIME_MS } from "./member.ts";
export { Records, type RecordChange, type Stored, type Unwatch } from "./records.ts";
export { runAssignedWork, type AssignedWorkOptions } from "./assigned-work.ts";
