export { Glob } from "./glob.ts";
