export { KeyFilter } from "./key-filter.ts";
export type { KeyPatterns, KeyVerdict } from "./key-filter.ts";
