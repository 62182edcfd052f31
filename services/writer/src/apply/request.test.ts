import { encodeCommand } from "@sluice/redis";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Request } from "./request.ts";

const bytes = fc
  .oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 60 }) },
    { weight: 1, arbitrary: fc.integer({ min: 16_000, max: 300_000 }) },
  )
  .map((size) => Buffer.alloc(size, size & 0xff));
const words = fc.array(fc.constantFrom("SET", "key", 12, -7, "ü", Buffer.from([0, 255])), { minLength: 1, maxLength: 4 });
const step = fc.oneof(
  words.map((args) => ({ kind: "command" as const, args })),
  bytes.map((value) => ({ kind: "raw" as const, value })),
  fc
    .tuple(words, fc.array(bytes, { maxLength: 3 }), words)
    .map(([before, pieces, after]) => ({ kind: "pieces" as const, before, pieces, after })),
);

test("whatever is added comes out in order, whole, and counted", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const request = new Request();
      const expected: Buffer[] = [];
      let commands = 0;
      for (const each of steps) {
        if (each.kind === "command") {
          request.addCommand(each.args);
          expected.push(encodeCommand(each.args));
          commands++;
        } else if (each.kind === "raw") {
          const raw = encodeCommand(["SET", "raw", each.value]);
          request.addRaw(Buffer.concat([raw, raw]), 2);
          expected.push(raw, raw);
          commands += 2;
        } else {
          request.addWithPieces(each.before, each.pieces, each.after);
          expected.push(encodeCommand([...each.before, Buffer.concat(each.pieces), ...each.after]));
          commands++;
        }
      }
      const whole = Buffer.concat(expected);
      expect([request.commands, request.bytes]).toEqual([commands, whole.length]);
      expect(Buffer.concat(request.finish()).equals(whole)).toBe(true);
    }),
    { numRuns: 150 },
  );
});
