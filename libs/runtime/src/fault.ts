import { codes, type Code } from "./codes.ts";

/**
 * A failure that says what its supervisor does: `Retryable` tries again, `Halt` waits for an operator, `Stopped` ends quietly.
 * `code` says what the operator does; see `codes`. Thrown with `cause`, logged once, by the supervisor.
 */
export abstract class Fault extends Error {
  readonly code: Code;
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get remedy(): string {
    return codes[this.code].remedy;
  }
}

/** Something outside is not as it should be for now: an endpoint is away, the bus is full. Tried again, with growing delay. */
export class Retryable extends Fault {
  override readonly name = "Retryable";
  /** Which endpoint is waited for, as the operator knows it: `source s0`, `destination main`, `bus`. */
  readonly endpoint: string;
  constructor(code: Code, endpoint: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.endpoint = endpoint;
  }
}

/** Going on would lose, double or invent data, or can't succeed without an operator. */
export class Halt extends Fault {
  override readonly name = "Halt";
}

/** Somebody else does this work now, or it was asked to end. */
export class Stopped extends Fault {
  override readonly name = "Stopped";
}

/** Message of a failure and of what caused it, on one line, without control characters; never throws. */
export function describeFault(fault: unknown): string {
  const messages: string[] = [];
  let cause = fault;
  // Causes may run in a circle.
  for (let depth = 0; depth < 4 && (cause !== undefined || depth === 0); depth++) {
    const message = saidBy(cause);
    if (message !== "" && !messages.some((known) => known.includes(message))) messages.push(message);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return printable(messages.join(": "));
}

/**
 * Why a fault is retried: `describeFault` without the name of the endpoint that is waited for, which stands beside the reason wherever it is
 * shown (`waits for source s0: the link broke`).
 */
export function reasonOf(fault: Fault): string {
  const told = describeFault(fault);
  if (!(fault instanceof Retryable)) return told;
  const name = fault.endpoint.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return told.replace(new RegExp(`(?<=^|: )${name}(?:: | )`, "g"), "");
}

/** A refused connection to a name with several addresses is an `AggregateError` that says nothing itself. */
function saidBy(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === "") return cause.errors.slice(0, 4).map(saidBy).join(", ");
  if (cause instanceof Error) return cause.message === "" ? cause.name : cause.message;
  return typeof cause === "object" && cause !== null ? Object.prototype.toString.call(cause) : String(cause);
}

/** `text` with control characters escaped, so that a key or an error of a server can be shown in a terminal or a log. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, escaped);
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
