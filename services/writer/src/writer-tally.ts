import type { Meter } from "@sluice/runtime";
import type { Step } from "./progress/lane-chain.ts";

const VERDICTS = ["apply", "skip", "newEpoch", "gap", "regress", "otherHistory"] as const satisfies readonly Step["kind"][];

/** What the lanes of this process have done, together, since it began. Counted for people: nothing is decided by it. */
export class WriterTally {
  units = 0;
  bytes = 0;
  transactions = 0;
  refused = 0;
  readonly verdicts: Record<Step["kind"], number> = { apply: 0, skip: 0, newEpoch: 0, gap: 0, regress: 0, otherHistory: 0 };

  get meter(): Meter {
    return {
      collect: (page) => {
        page.set("sluice_writer_units_total", {}, this.units);
        page.set("sluice_writer_bytes_total", {}, this.bytes);
        page.set("sluice_writer_transactions_total", {}, this.transactions);
        page.set("sluice_writer_transactions_refused_total", {}, this.refused);
        for (const verdict of VERDICTS) page.set("sluice_verdicts_total", { verdict }, this.verdicts[verdict]);
      },
    };
  }
}
