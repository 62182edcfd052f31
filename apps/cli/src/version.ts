/** Release of Sluice that this command belongs to; the same as in package.json. */
export const VERSION = "0.1.0";
