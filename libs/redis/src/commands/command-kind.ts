/** What the data path does with a command of the stream. */
export const CommandKind = {
  /** Changes the keys it names, in one database. */
  write: 0,
  /** Moves the offset and makes no unit of its own: PING, REPLCONF, SELECT, MULTI, EXEC. */
  control: 1,
  /** Changes the whole keyspace, or what is no key: all lanes must reach it together. */
  barrier: 2,
  /** A message to subscribers, no data. */
  publish: 3,
  /** The source's own bookkeeping: means nothing elsewhere. */
  dropped: 4,
  /** Runs or keeps a script. */
  script: 5,
  /** Reads and administration: never forwarded. */
  forbidden: 6,
} as const;

export type CommandKind = (typeof CommandKind)[keyof typeof CommandKind];
