import { apiCodes } from "./api-codes.ts";
import { busCodes } from "./bus-codes.ts";

/** What a stable code means and what an operator does about it. Codes are never given a second meaning. */
export interface CodeMeaning {
  readonly meaning: string;
  readonly remedy: string;
}

/** Every code that Sluice prints. `SRC` source, `DST` destination, `BUS` NATS, `PIP` pipeline, `API` a request, `SLU` Sluice itself. */
export const codes = {
  "SRC-001": {
    meaning: "The source can't be reached, or it closed the replication link.",
    remedy:
      "Nothing, if it comes back: Sluice resumes by itself. Otherwise check the address, the network and the server's log.",
  },
  "SRC-002": {
    meaning: "The source refuses the credentials or the permission to replicate.",
    remedy:
      "Set `user` and `password` of the source; the user needs +psync +replconf +ping +info +select, in a cluster +cluster too, and for `onDivergence: repair` +multi +exec +dump +pttl +pexpiretime +time on all keys.",
  },
  "SRC-003": {
    meaning: "The source is not ready to be replicated from: it is loading, or it has no link to its own primary.",
    remedy: "Nothing, if it recovers: Sluice tries again. Otherwise see the source's log.",
  },
  "SRC-004": {
    meaning: "The RDB that the source sent is damaged, or of a kind that this release can't read.",
    remedy: "A damaged one is requested again. If it happens again, check the source's memory and network, or its version.",
  },
  "SRC-005": {
    meaning: "The replication stream holds something that is no command.",
    remedy: "The link is made anew. If it happens again, something between the source and Sluice changes bytes: check proxies.",
  },
  "SRC-006": {
    meaning:
      "The replication stream holds a command that Sluice does not know as a write, and the source did not say where its keys stand, so that it can't be carried over safely.",
    remedy:
      "The message says what the source was asked, and its answer. Let its user run COMMAND (ACL rule `+command`), load the module that has the command again, or undo its renaming, and start the pipeline again: it goes on with this command. Otherwise take the name to the release notes, since a newer release may know it; or stop the clients that send it, and let the pipeline copy anew.",
  },
  "SRC-007": {
    meaning: "A command is larger than this release carries.",
    remedy: "Split the value or the transaction at the source.",
  },
  "SRC-008": {
    meaning:
      "The source cluster is not whole: slots that nobody serves, a state other than ok, or a primary that can't be used.",
    remedy:
      "Mend it: `redis-cli --cluster check` names what is wrong. A node with credentials of its own has them under `nodes`.",
  },
  "SRC-009": {
    meaning: "A server that is to be read as a primary says that it is a replica.",
    remedy:
      "Nothing while a failover is under way: where a cluster or Sentinels lead to the source, Sluice follows to the new primary. A source that is named by its own address is waited for until it is a primary again; name it as sentinel://… to have it followed, or say `read: replica`.",
  },
  "SRC-010": {
    meaning: "The source closed the link in the middle of a full copy, several times in a row.",
    remedy:
      'See the source\'s log. With one before 6.2, and with a replica, most often what clients write during the copy exceeds `client-output-buffer-limit replica`: raise it (`CONFIG SET client-output-buffer-limit "replica 0 0 0"` while the copy runs), or copy when less is written. Sluice tries again in growing intervals; stopping and starting the pipeline tries at once.',
  },
  "SRC-011": {
    meaning:
      "Keys that differ in a destination are to be taken from the source again, and its primary does not stand in the lane's history for now.",
    remedy: "Nothing: after a failover or a restart of the source it is tried again, or a new copy makes it needless.",
  },
  "SRC-012": {
    meaning: "The source's version is one that Sluice can't replicate from: it knows no PSYNC.",
    remedy: "Upgrade the source to Redis 2.8 or newer, or Valkey.",
  },
  "SRC-013": {
    meaning:
      "The source uses commands that Sluice does not know as writes (those of modules, most often): the first one in the replication stream halts its shard (SRC-006).",
    remedy:
      "Stop the clients that use them while the pipeline runs, and remove such keys; or waive the check, where they only read.",
  },
  "SRC-014": {
    meaning:
      "What clients of a source before 6.2, or of a replica, write during a full copy will not fit into its `client-output-buffer-limit` for replicas: it would close the link, and the copy begin anew (SRC-010).",
    remedy: 'Raise it on every node: `CONFIG SET client-output-buffer-limit "replica 0 0 0"`.',
  },
  "DST-001": {
    meaning: "The destination can't be reached, or it closed the connection.",
    remedy:
      "Nothing, if it comes back: Sluice resumes by itself. Otherwise check the address, the network and the server's log.",
  },
  "DST-002": {
    meaning: "The destination refuses the credentials or a command that Sluice needs.",
    remedy:
      "Set `user` and `password` of the destination; the user needs +@read +@write +@transaction +@scripting +select +scan +info on all keys, in a cluster also +cluster +asking: docs/security.md has the line.",
  },
  "DST-003": {
    meaning: "The destination can't take writes for now (loading, busy, out of memory, read-only, disk errors).",
    remedy: "Give it what it asks for (memory, disk, its primary role); Sluice goes on by itself.",
  },
  "DST-004": {
    meaning: "A command that the source ran failed in the destination: the two hold different data for its key.",
    remedy:
      "Something else writes to the destination, or it lacks a feature of the source. Stop the other writer, then start the pipeline again with `onDivergence: repair`, which takes such keys from the source; or copy anew.",
  },
  "DST-005": {
    meaning: "A mark in the destination is damaged, or from a later history than the pipeline's own.",
    remedy:
      "Make sure that no other pipeline of this name writes there. Delete the key that the message names, or all of the pipeline's keys `sluice:{…` there, and start the pipeline again: it copies anew what is missing.",
  },
  "DST-006": {
    meaning:
      "The destination can't hold a value in any form: its version or fork knows nothing of the kind, or lacks the module that reads it.",
    remedy:
      "Upgrade the destination, load the module there, or remove such keys at the source. With `unsupported: skip` for that destination they are left out and counted.",
  },
  "DST-007": {
    meaning: "The destination answered something that Sluice does not know, so that it can't tell whether a unit was applied.",
    remedy: "Report the answer. Restarting the pipeline reads the mark again and goes on from there.",
  },
  "DST-008": {
    meaning:
      "This lane's mark is not the one that its writer set: another writer moved it, or the destination went back to an older state or lost its data. Nothing was applied twice.",
    remedy:
      "Nothing: the lane goes on from what the destination holds, and copies anew what it lost. If data was lost, see to its persistence and replicas.",
  },
  "DST-009": {
    meaning: "The destination is not empty, and the pipeline says `existing: refuse`.",
    remedy: "Empty the destination, or say `existing: replace` (it ends as the source's equal) or `existing: overwrite`.",
  },
  "DST-011": {
    meaning:
      "The destination cluster is not whole: slots that nobody serves, a state other than ok, or a primary that can't be used.",
    remedy:
      "Mend it: `redis-cli --cluster check` names what is wrong. A node with credentials of its own has them under `nodes`.",
  },
  "DST-010": {
    meaning:
      "The source holds changes in a database other than 0, and the destination is a cluster, which has only database 0.",
    remedy:
      "Keep clients on database 0 of the source, or choose a destination that is no cluster; then start the pipeline anew.",
  },
  "DST-012": {
    meaning: "The destination's version is too old for its expiries to be settled: that needs 3.2.",
    remedy:
      "Its keys are right, and expire later than at the source by the grace that the status shows. Set the expiries that matter by hand.",
  },
  "DST-013": {
    meaning:
      "Slots of the destination moved while its expiries were being settled. A move changes an expiry by what it takes, so that in these slots nobody can tell a settled one from one that is not.",
    remedy:
      "Ask for the cut-over again with --force to settle the rest. In the slots that moved an expiry may then end up too late, or too early, by the grace: set those that matter by hand.",
  },
  "DST-014": {
    meaning:
      "A command failed in the destination, and its keys can't be repaired: which they are can't be told, or the destination refuses them as the source has them (a Redis older than the source's, or a limit of its own).",
    remedy: "Set the keys right by hand and start the pipeline again, which goes on behind the command; or copy anew.",
  },
  "DST-015": {
    meaning:
      "Settling of the destination's expiries began with another grace than the pipeline file gives now, so that the rest would end up wrong.",
    remedy: "Give `retryWindow` and `keepApplied` the values that the pipeline ran with, and ask again.",
  },
  "DST-016": {
    meaning: "The destination has less memory than the source's data will need there.",
    remedy:
      "Raise `maxmemory` of the destination, add shards to it, or narrow what is copied with `keys`. Where much of the source is about to expire, the check can be waived: a destination that is full makes the pipeline wait (DST-003), nothing is lost.",
  },
  "DST-017": {
    meaning:
      "Another pipeline writes to this destination, and this one says `existing: replace`: it would delete what the other one wrote.",
    remedy: "Say `existing: overwrite`, name another destination, or cut the other pipeline over first.",
  },
  "DST-018": {
    meaning: "The destination has fewer databases than the source uses.",
    remedy: "Raise `databases` in its redis.conf and restart it, or give these databases other numbers there with `databases`.",
  },
  ...busCodes,
  "PIP-001": {
    meaning: "The pipeline file has faults.",
    remedy: "Each fault is printed with its line; mend them and run it again.",
  },
  "PIP-002": {
    meaning: "There is no pipeline of this name.",
    remedy: "`sluice status` without a name lists the pipelines.",
  },
  "PIP-003": {
    meaning: "A pipeline of this name exists with other endpoints, or with another grace on its expiries.",
    remedy:
      "`sluice edit` changes what can be changed and says what that costs. Otherwise give the new one another name, or `sluice delete` the old one.",
  },
  "PIP-004": {
    meaning:
      "A unit speaks of a whole keyspace or of several lanes (FLUSHALL, SWAPDB, FUNCTION …) and the shard has more than one lane.",
    remedy: "Run the command by hand on the destination while the source is quiet, and start the pipeline anew.",
  },
  "PIP-005": {
    meaning: "The source holds keys in databases other than 0, and a destination is a cluster, which has no other.",
    remedy: "Move these keys to database 0 or delete them, or name a standalone server as the destination.",
  },
  "PIP-006": {
    meaning: "A server that the pipeline names is a replica.",
    remedy: "Name its primary instead.",
  },
  "PIP-007": {
    meaning: "A destination is the source itself.",
    remedy: "Name another server as the destination.",
  },
  "PIP-009": {
    meaning: "The pipeline is cut over, or is being cut over: expiries in its destinations are true ones again.",
    remedy:
      "Nothing, if the destinations are in use. To copy once more, start a pipeline under another name; with `existing: replace` it deletes what was written there since.",
  },
  "PIP-010": {
    meaning:
      "The pipeline does not run, so that a cut-over could not tell whether its destinations hold what the source holds.",
    remedy: "Start it and cut over then. With --force what the destinations hold is settled as it is, without the source.",
  },
  "PIP-008": {
    meaning: "A server of the pipeline changed its kind: standalone became a cluster, or the other way round.",
    remedy: "Start a new pipeline under another name: positions of the one kind mean nothing to the other.",
  },
  "PIP-011": {
    meaning:
      "What is written to a destination comes back to the source: one is a replica of the other, or other pipelines lead from the one to the other.",
    remedy: "Name a destination that does not feed the source, or stop the pipeline that the message names.",
  },
  "PIP-012": {
    meaning: "A precheck could not tell, and what it checks must be known before the pipeline may start.",
    remedy: "See what it found: most often a server that answers slowly, or a permission that is missing. Then run it again.",
  },
  "SRC-015": {
    meaning:
      "The source was away for as long as `retryWindow` says (of the source). Nothing of the pipeline runs; what is stored stays.",
    remedy:
      "Bring the source back, then `sluice resume NAME`: it says first whether it continues or has to copy anew. A longer `retryWindow` needs a new pipeline, as expiries carry it.",
  },
  "SRC-016": {
    meaning: "The source no longer holds the changes that are missing, and the pipeline says `onBacklogLost: halt`.",
    remedy:
      "`sluice resume NAME --copy` copies anew. Before, see what the destinations hold; a larger `repl-backlog-size` at the source bears longer absences.",
  },
  "DST-019": {
    meaning:
      "The destination was away, or took no writes, for as long as `retryWindow` says (of the destination). Nothing of the pipeline runs; what is stored stays.",
    remedy: "Bring the destination back, then `sluice resume NAME`: it goes on from where the destination stands.",
  },
  "PIP-013": {
    meaning: "The pipeline is in a state that does not allow this.",
    remedy: "Do first what the message names; `sluice status NAME` shows the state.",
  },
  "SRC-017": {
    meaning:
      "The source, or a Sentinel of it, and Sluice do not trust each other's certificates. Trying again would change nothing.",
    remedy:
      "Under `tls` of the source: `ca` names a file with the authority that signed the server's certificate, `serverName` the name that it bears where it is not the host, `cert` and `key` what the server asks of its clients. A certificate that has expired is renewed at the server. Then start the pipeline again.",
  },
  "SRC-018": {
    meaning:
      "The pipeline says `mode: changes`, and the source can't be attached to without a copy: it has no history that could be continued, or nobody can tell which database its stream is in.",
    remedy:
      "What the message names. A source that keeps no backlog begins one with its first replica: attach any to it, set `repl-backlog-ttl 0`, and start the pipeline again. Where the database can't be told, write once in each of two databases (`redis-cli -n 1 SET sluice-hint 1 EX 60`, then the same with `-n 0`): a source says which database it is in when that changes. Start again soon after. A user who may not ask gets `+info +client|list`. A source before Redis 4.0 is copied with `mode: full+changes`.",
  },
  "SRC-019": {
    meaning:
      "Changes are missing that the source, or the bus, no longer holds, and the pipeline says `mode: changes`, which never copies in their place.",
    remedy:
      "What was written meanwhile can't be had without a copy. Delete the pipeline, then start it with `mode: full+changes` to copy, or as it is to go on from now with these changes missing in the destinations. A larger `repl-backlog-size` at the source bears longer absences.",
  },
  "DST-020": {
    meaning: "The destination and Sluice do not trust each other's certificates. Trying again would change nothing.",
    remedy:
      "Under `tls` of the destination: `ca` names a file with the authority that signed the server's certificate, `serverName` the name that it bears where it is not the host, `cert` and `key` what the server asks of its clients. A certificate that has expired is renewed at the server. Then start the pipeline again.",
  },
  "PIP-014": {
    meaning: "A file of certificates that the pipeline names can't be read, or does not hold what it should.",
    remedy:
      "Mend the file that the message names. It is read by every service of Sluice, at the same path on each of their machines. Then start the pipeline again.",
  },
  "PIP-015": {
    meaning:
      "A command concerns keys or databases that a writer group gets, and others that it does not get, in a way that can't be taken apart: what the destination should hold behind it can't be told from the command. So do keys that `existing: keep` keeps. Prechecks warn with it of commands in use that could come to that, and of what `commands.exclude` comes to.",
    remedy:
      "Choose `keys`, `source.databases` and `databases` so that what is used together is on the same side, and start a pipeline with them under another name: those of a running one can't be changed, and `onDivergence` does not help here. Where the command was a single accident, `sluice resume NAME --copy` copies anew, beyond it.",
  },
  "DST-021": {
    meaning:
      "The destination does not hold any more what the pipeline left in it: it was emptied, replaced or set back to before the start. The pipeline says `mode: changes`, so that nothing brings back the rest of the data; going on with the changes alone would make a destination that looks whole and is not.",
    remedy:
      "Start a pipeline with `mode: full+changes`, which copies. Or put the data back in another way, delete this pipeline and start it again: it attaches anew where the source stands by then.",
  },
  "DST-022": {
    meaning:
      "The pipeline says `existing: keep`, and the destination lost the names of the keys that stood there before the first copy (or never had them). What stands there now may be somebody's or the pipeline's own, and nobody can tell which.",
    remedy:
      "Where its keys are not needed any more, empty the part of the destination that the message names, the pipeline's own `sluice:{…` keys included, and `sluice resume NAME`: it is copied anew. Where they are, delete the pipeline and these own keys, remove what it had copied, and start it again: then all keys that are left are kept.",
  },
  "DST-023": {
    meaning:
      "The pipeline says `existing: keep`, and the destination holds more keys than a lane can keep in mind: 1 000 000 names, or 128 MB of them.",
    remedy:
      "Use `existing: overwrite` and see by `keys` that names of the source and of the destination do not meet; or more `lanes`, where the source or every destination is a cluster. Neither can be changed once the pipeline has run: start it under another name.",
  },
  "PIP-016": {
    meaning: "The pipeline was being deleted by force, and the deletion broke off.",
    remedy: "`sluice delete NAME` ends it. `sluice resume NAME` keeps the pipeline instead.",
  },
  "PIP-017": {
    meaning:
      "A group can't be added to the pipeline as it is: a precheck of its destination or of the source forbids it, or the pipeline is one that never copies.",
    remedy: "Do what the message says, and send the edit again: nothing was changed.",
  },
  "PIP-018": {
    meaning:
      "A group was taken away from the pipeline, or taken away and added anew: what is under way for the group as it was ends.",
    remedy: "Nothing: the writers of the group as it is now begin by themselves.",
  },
  "DST-024": {
    meaning:
      "The destination holds marks of another group of the same pipeline, such as of one that was taken away or renamed. A writer of that group that was held up compares with these marks alone, and would apply once more what a copy for this group holds already.",
    remedy:
      "Delete the other group's keys there, `sluice:{…}:<pipeline>:<group>` and `sluice:{…}:<pipeline>:<group>:…`, once it is taken away for good: then its writers can't write any more. Or give the group its former name, or name another destination.",
  },
  "DST-025": {
    meaning:
      "A destination of `existing: keep` is to be settled, and names of the keys that stood there before the first copy are gone: nobody can tell which expiries carry the pipeline's grace and which are the keys' own. Nothing was changed there.",
    remedy:
      "Put the names back where a backup of the destination holds them (the keys `sluice:{…}:<pipeline>:<group>:kept…`), and ask again: `sluice cutover NAME`. Or settle by the names that are left: `sluice cutover NAME --force`. Then, as with `existing: overwrite`, a key that stood there before, whose name is gone, may expire earlier by the grace, where its expiry is odd in milliseconds and further away than the grace.",
  },
  "SRC-020": {
    meaning: "The source promised a full copy and did not send it: it can't write one.",
    remedy:
      "See the source's log. Most often it can't fork (`vm.overcommit_memory`, memory), or its disk is full (`dir`; `repl-diskless-sync yes` does without). A Valkey 9 also ends so where something in between, or a setting, keeps from it which RDB version Sluice reads, and hashes have fields that expire. Sluice tries again, after three tries in growing intervals; stopping and starting the pipeline tries at once.",
  },
  "SRC-021": {
    meaning: "The source does not know PSYNC or REPLCONF, the commands of replication, by the names that Sluice calls them.",
    remedy:
      "Where they are renamed (`rename-command` in its redis.conf), say to what under `source.commands` (`psync`, `replconf`) and start the pipeline again. A managed service that takes them away has to allow replication first.",
  },
  "SRC-022": {
    meaning:
      "The source replicates scripts word for word (before 5.0, or with `lua-replicate-commands no`), and clients use them: they are run again at the destination.",
    remedy:
      "`CONFIG SET lua-replicate-commands yes` (5.0 to 6.2); before 5.0 let scripts begin with `redis.replicate_commands()`. Where all that a script does follows from its arguments and the keys that it names, nothing needs to be done.",
  },
  "DST-026": {
    meaning:
      "The source sent a command that the destination lacks, or a form of it, and none of the destination's own commands leaves exactly the same. Nothing of its unit was applied.",
    remedy:
      "Upgrade the destination to the version that the message names, and start the pipeline again: the lane goes on with this command. Where the destination has the kind of value, `onDivergence: repair` takes the keys of such commands from the source instead; `unsupported: skip` at the destination leaves out what it can't hold, counts it and names the first keys in the log.",
  },
  ...apiCodes,
  "SLU-001": {
    meaning: "Something failed in a way that Sluice did not foresee.",
    remedy: "It is tried again. Report the message with the log around it.",
  },
  "SLU-002": {
    meaning: "A service was started with a setting that it can't use.",
    remedy: "Mend the setting that the message names.",
  },
  "SLU-003": {
    meaning: "The work was handed to another instance, or the service is stopping.",
    remedy: "Nothing.",
  },
} as const satisfies Record<string, CodeMeaning>;

export type Code = keyof typeof codes;
