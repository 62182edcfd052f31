export { isSameSource, place } from "@sluice/wire";
