import { z } from "zod";
import { pipelineStatus } from "./api.ts";
import { pipelineEvent, pipelineState } from "./records.ts";

/** Answer of `POST /api/v1/pipelines`. */
export const createAnswer = z.object({ name: z.string(), outcome: z.enum(["created", "resumed"]) });
export type CreateAnswer = z.output<typeof createAnswer>;

export const resumeAnswer = z.object({
  /** `continues` from what is stored, or `copies` anew; `unknown`: the source can't be asked now. */
  outcome: z.enum(["continues", "copies", "unknown"]),
  why: z.string(),
  /** False where only what would happen was asked for, and where it runs already. */
  isChanged: z.boolean(),
  status: pipelineStatus,
});
export type ResumeAnswer = z.output<typeof resumeAnswer>;

export const editAnswer = z.object({
  name: z.string(),
  /** Fields that differ, by their place in the file; passwords by their place only. */
  changed: z.array(z.string()),
  /** `kept`: it goes on from where it is. `copies`: it copies anew. `unknown`: a server can't be asked now. */
  checkpoint: z.enum(["kept", "copies", "unknown"]),
  why: z.string(),
  /** False where only what would happen was asked for, and where nothing differs. */
  isChanged: z.boolean(),
  /** Groups that come or go, and what becomes of each. */
  groups: z.array(z.object({ group: z.string(), change: z.enum(["added", "removed"]), text: z.string() })),
});
export type EditAnswer = z.output<typeof editAnswer>;

/** `marksStay`: keys `sluice:{…` stay in the destinations; a pipeline of the same name begins above them. */
export const deleteAnswer = z.object({ name: z.string(), outcome: z.literal("deleted"), marksStay: z.boolean() });

/** Something that happened to a pipeline; `id` grows with every event of the pipeline. */
export const apiEvent = pipelineEvent.extend({ pipeline: z.string() });
export type ApiEvent = z.output<typeof apiEvent>;

export const eventPage = z.object({ events: z.array(apiEvent) });

/** Content of `event: state` in a stream of events. */
export const stateEvent = z.object({
  pipeline: z.string(),
  state: pipelineState,
  since: z.number(),
  reason: z.string(),
});
export type StateEvent = z.output<typeof stateEvent>;

export const codeAnswer = z.object({ code: z.string(), meaning: z.string(), remedy: z.string() });
export const codeList = z.object({ codes: z.array(codeAnswer) });
export const liveAnswer = z.object({ alive: z.literal(true) });
export const readyAnswer = z.object({ ready: z.literal(true) });
