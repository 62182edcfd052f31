/** How one process of a tree is started. */
export interface ProcessPlan {
  /** Unique in its tree; names its log. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Both outputs are appended here. */
  readonly logFile: string;
  /**
   * How it learns that its parent has died, even by SIGKILL. `channel`: it is a Node program that watches its IPC channel;
   * `guard`: a guard process sends it SIGTERM.
   */
  readonly parentLoss: "channel" | "guard";
  /** How long it may take to end after SIGTERM before SIGKILL. */
  readonly stopLimitMs: number;
}
