/** Version of everything that crosses a process boundary. A reader refuses what carries another one; see docs/decisions/0002. */
export const WIRE_VERSION = 1;
