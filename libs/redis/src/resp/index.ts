export * from "./command-framer.ts";
export * from "./encode-command.ts";
export * from "./reply-framer.ts";
export * from "./reply.ts";
export { RespError } from "./resp-error.ts";
