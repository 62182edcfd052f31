/** One Redis command: its name and its arguments. */
export type Command = readonly [name: string, ...args: (string | number | Buffer)[]];
