/**
 * A failure that the operator is told as it is: what happened and where, and what to do about it. Never shown with a stack.
 * Exit code 1: refused or failed; 2: the command was called wrongly.
 */
export class OperatorError extends Error {
  override readonly name: string = "OperatorError";
  readonly remedy: string;
  readonly exitCode: 1 | 2;
  constructor(message: string, remedy = "", exitCode: 1 | 2 = 1, options?: ErrorOptions) {
    super(message, options);
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}
