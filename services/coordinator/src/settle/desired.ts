import type { Records } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import { recordKey, specRecord, withLastStart, writtenSpec, type DesiredState } from "@sluice/wire";

const ATTEMPTS = 5;

/**
 * Writes what is wanted of a pipeline into its spec. `isDue` is asked between the reading of the spec and its compare-and-set: who
 * changes both writes the spec last. Throws `Retryable` BUS-001.
 */
export async function setDesired(
  records: Records,
  name: string,
  desired: DesiredState,
  isDue: () => Promise<boolean>,
): Promise<void> {
  const key = recordKey.spec(name);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = await records.get(key, writtenSpec);
    if (existing === null || existing.value.desired === desired || !(await isDue())) return;
    const next = withLastStart({ ...existing.value, desired }, existing);
    if ((await records.compareAndSet(key, specRecord, next, existing.revision)) !== null) return;
  }
  throw new Retryable("BUS-001", "bus", `the spec of ${name} was changed by others ${ATTEMPTS} times in a row`);
}
