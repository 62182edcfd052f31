import { codes } from "@sluice/runtime";
import { precheckRequest, precheckVerdict } from "@sluice/wire";
import { describe, expect, test } from "vitest";
import { prechecks } from "./prechecks.ts";

describe("the list of checks", () => {
  test("has ids of their own, in kebab-case, that a request may name", () => {
    const ids = prechecks.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^(source|destination|bus)(-[a-z]+)+$/);
    expect(precheckRequest.parse({ only: ids, ignore: ids.map((id) => ({ id })) }).ignore?.[0]?.reason).toBe("");
    expect(precheckRequest.safeParse({ only: ["Source"] }).success).toBe(false);
    expect(precheckRequest.safeParse({ onyl: [] }).success).toBe(false);
  });

  test("says of each what happens otherwise, when it tells so, and what to do, with a code that exists", () => {
    for (const { id, why, expected, fix, warns, fails, code, isWaivable, ifUnknown } of prechecks) {
      for (const text of [why, expected, fix]) expect(text.length, id).toBeGreaterThan(5);
      expect(warns ?? fails, id).not.toBeNull();
      expect(Object.keys(codes)).toContain(code);
      if (isWaivable === true) expect(fails, id).toContain("can be waived");
      // What can't fail by what it finds does not forbid a start by finding nothing.
      if (fails === null) expect(ifUnknown, id).toBeUndefined();
    }
  });

  test("a verdict is the worst of what is not waived", () => {
    const waived = { at: 1, reason: "" };
    expect(precheckVerdict([])).toBe("pass");
    expect(
      precheckVerdict([
        { level: "warn", waived },
        { level: "pass", waived: null },
      ]),
    ).toBe("pass");
    expect(
      precheckVerdict([
        { level: "warn", waived: null },
        { level: "fail", waived },
      ]),
    ).toBe("warn");
    expect(
      precheckVerdict([
        { level: "warn", waived: null },
        { level: "fail", waived: null },
      ]),
    ).toBe("fail");
  });
});
