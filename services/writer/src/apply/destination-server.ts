import { infoFields, type DestinationServer } from "@sluice/redis";

/** Version and fork as `INFO server` tells them; 0 where it tells none. Valkey says beside its own version which Redis it stands for. */
export function readServer(info: unknown): DestinationServer {
  const fields = infoFields(Buffer.isBuffer(info) ? info.toString("latin1") : String(info));
  const own = fields.get("valkey_version");
  return {
    version: numberOf(own ?? fields.get("redis_version")),
    isValkey: own !== undefined || fields.get("server_name") === "valkey",
  };
}

/** `major * 10000 + minor * 100 + patch`. */
function numberOf(version: string | undefined): number {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  return Number(major ?? 0) * 10_000 + Number(minor ?? 0) * 100 + Number(patch ?? 0);
}
