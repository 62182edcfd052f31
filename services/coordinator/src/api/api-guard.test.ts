import { describe, expect, test } from "vitest";
import { Refusal } from "../desk/refusal.ts";
import { ApiGuard } from "./api-guard.ts";

type Headers = Parameters<ApiGuard["check"]>[0];

function answer(guard: ApiGuard, headers: Headers): string {
  try {
    guard.check(headers);
    return "welcome";
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    return `${cause.status} ${cause.code}`;
  }
}

describe("without a token", () => {
  const guard = new ApiGuard(null);

  test.each(["127.0.0.1:7380", "localhost:7380", "LOCALHOST", "[::1]:7380", "127.8.8.8"])(
    "%s is asked by everybody here",
    (host) => {
      expect(answer(guard, { host })).toBe("welcome");
    },
  );

  test.each(["rebound.example.com:7380", "", "10.0.0.1:7380", "127.0.0.1.example.com", "[::2]"])(
    "%s is another name, as a page of another site would use",
    (host) => {
      expect(answer(guard, { host })).toBe("403 API-003");
    },
  );

  test("a page of another site is refused, one of our own is not", () => {
    const host = "127.0.0.1:7380";
    for (const origin of ["https://example.com", "http://127.0.0.1:8080", "null", "nonsense"])
      expect(answer(guard, { host, origin })).toBe("403 API-003");
    expect(answer(guard, { host, origin: "http://127.0.0.1:7380" })).toBe("welcome");
  });
});

describe("with a token", () => {
  const guard = new ApiGuard("a-token-of-our-own");
  const host = "sluice.example.com";

  test("whoever names it may ask, under any name", () => {
    expect(answer(guard, { host, authorization: "Bearer a-token-of-our-own" })).toBe("welcome");
    expect(answer(guard, { host, authorization: "bearer  a-token-of-our-own" })).toBe("welcome");
  });

  test.each([undefined, "", "Bearer", "Bearer a-token-of-our-ow", "Bearer a-token-of-our-own2", "Basic a-token-of-our-own"])(
    "%s does not do",
    (authorization) => {
      expect(answer(guard, { host, ...(authorization === undefined ? {} : { authorization }) })).toBe("401 API-002");
    },
  );

  test("a page of another site may not ask with it", () => {
    expect(answer(guard, { host, origin: "https://example.com", authorization: "Bearer a-token-of-our-own" })).toBe(
      "403 API-003",
    );
  });
});
