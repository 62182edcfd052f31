import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { freePort, releasePort } from "../servers/free-port.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { loadRecording, type FixtureVersion, type RecordingName } from "./fixtures.ts";
import { PlayedLink } from "./played-link.ts";
import { answer, majorOf, type PrimaryIdentity } from "./primary-answers.ts";
import { RequestReader } from "./request-reader.ts";

export interface RecordedPrimaryOptions {
  /** The server it pretends to be. */
  readonly version: FixtureVersion;
  /** Default "replication". */
  readonly recording?: RecordingName;
  /** Serves this RDB (path or bytes) instead of a recording, in disk form or, with recording "replication-diskless", in the other. */
  readonly rdb?: string | Buffer;
  /** Only with `rdb`: the stream that follows it; default none. */
  readonly stream?: Buffer;
  /** Sizes in bytes of the pieces it sends, repeated; `[1]` sends single bytes. Default: as large as they come. */
  readonly chunkSizes?: readonly number[];
  /** Default: a free one. */
  readonly port?: number;
  /** New names of commands: by the former ones, in capitals, they are unknown. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** What it answers to a command in place of its own answer, CRLF included; null: its own. */
  readonly inPlaceOf?: (args: readonly string[]) => string | null;
  /** INFO says that it is a node of a cluster. */
  readonly isCluster?: boolean;
  /** It takes `REPLCONF rdb-only 1`, as servers from 6.2 on do. */
  readonly sendsRdbAlone?: boolean;
}

export interface ReceivedAck {
  readonly offset: number;
  /** Clock of this machine in ms. */
  readonly atMs: number;
}

interface Script {
  readonly version: FixtureVersion;
  replid: string;
  readonly startOffset: number;
  /** From the reply to PSYNC to the byte before the stream. */
  prologue: Buffer;
  readonly isDiskless: boolean;
  /** It closes the link behind its reply to PSYNC for replicas that have not said a version, or for all. */
  readonly refuses: "versionless" | "all" | "none";
  /** Replies of the recorded handshake by REPLCONF option. */
  readonly replies: ReadonlyMap<string, string>;
  stream: Buffer;
}

/**
 * Plays a primary to any number of replicas, byte for byte as it was recorded.
 *
 *     replica                      recorded primary
 *     PING, REPLCONF …         ──▶ the recorded replies; for an option unknown to that version its error
 *     PSYNC ? -1               ──▶ everything up to the stream
 *     REPLCONF ACK             ──▶ the stream (in disk form it follows at once, without waiting for this)
 *     PSYNC <replid> <offset>  ──▶ +CONTINUE and the stream from that offset, if it has it
 *     REPLCONF rdb-only 1      ──▶ +OK where it is told to take it; then the full copy is all that this replica gets
 *
 * As on the real server, +CONTINUE names the replication id from 4.0 on and for replicas with `capa psync2`. Any other id or
 * offset gets the full resync again, from the recorded offset on (a real server would start at its current one). INFO, ROLE,
 * CONFIG GET, PING, SCAN and EXISTS (no keys) are answered on every connection; other commands are unknown. It sends no PING of its own.
 *
 * Where a version was said in the recorded handshake (Valkey 9), a replica that says none gets +FULLRESYNC and then the end of the link.
 *
 * `failOver` puts a promoted replica in its place, and `forgetBefore` shortens its backlog.
 */
export class RecordedPrimary implements AsyncDisposable {
  readonly port: number;
  /** Every REPLCONF ACK of every link, in order of arrival. */
  readonly acks: ReceivedAck[] = [];
  /** The replication id of every PSYNC, in order of arrival; `?` where a full copy was asked for. */
  readonly psyncs: string[] = [];
  readonly #script: Script;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #links = new Set<PlayedLink>();
  readonly #options: RecordedPrimaryOptions;
  /** What the former history is called, and where it ends: as replication.c has it (`replid2`, `second_replid_offset`). */
  #former = { replid: "0".repeat(40), secondOffset: -1 };
  #firstOffset: number;
  #isReplica = false;
  #fullSyncs = 0;
  #partialSyncs = 0;

  private constructor(port: number, script: Script, options: RecordedPrimaryOptions) {
    this.port = port;
    this.#script = script;
    this.#options = options;
    this.#firstOffset = script.startOffset + 1;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(options: RecordedPrimaryOptions): Promise<RecordedPrimary> {
    const { chunkSizes = [] } = options;
    if (chunkSizes.some((size) => !(size >= 1)))
      throw new RangeError(`chunk sizes must be 1 or more: ${chunkSizes.join(", ")}`);
    const script = options.rdb === undefined ? recordedScript(options) : rdbScript(options, options.rdb);
    const primary = new RecordedPrimary(options.port ?? (await freePort()), script, options);
    await new Promise<void>((resolve, reject) => {
      primary.#server.once("error", reject);
      primary.#server.listen(primary.port, "127.0.0.1", resolve);
    });
    return primary;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get replid(): string {
    return this.#script.replid;
  }

  /** The offset of the full resync; the stream's first byte is the next one. */
  get startOffset(): number {
    return this.#script.startOffset;
  }

  /** The offset of the last byte there is. */
  get finalOffset(): number {
    return this.#script.startOffset + this.#script.stream.length;
  }

  /** How often +FULLRESYNC was answered. */
  get fullSyncs(): number {
    return this.#fullSyncs;
  }

  /** How often +CONTINUE was answered. */
  get partialSyncs(): number {
    return this.#partialSyncs;
  }

  /** Lengthens the stream; replicas that are online get it at once. */
  append(bytes: Buffer): void {
    this.#script.stream = Buffer.concat([this.#script.stream, bytes]);
    for (const link of this.#links) if (link.isOnline) link.play(bytes);
  }

  /** Resolves when a replica has acknowledged this offset or a later one. */
  async waitForAck(offset: number, timeoutMs = 60_000): Promise<void> {
    const isReached = (): boolean => this.acks.some((ack) => ack.offset >= offset);
    const details = (): string => `acknowledged so far: ${this.acks.at(-1)?.offset ?? "nothing"}`;
    await waitUntil(`a replica acknowledges offset ${offset}`, isReached, { timeoutMs, details });
  }

  /**
   * A replica that had got the stream up to `offset` takes its place: it forgets what follows, goes on under another replication
   * id, and knows the former one up to there. Cuts all connections.
   */
  failOver(offset: number): void {
    const script = this.#script;
    const [former, next] = [script.replid, randomBytes(20).toString("hex")];
    this.#former = { replid: former, secondOffset: offset + 1 };
    script.replid = next;
    script.stream = script.stream.subarray(0, offset - script.startOffset);
    script.prologue = Buffer.from(script.prologue.toString("latin1").replace(former, next), "latin1");
    this.disconnectAll();
  }

  /** Its backlog begins at `offset` from now on: what comes before can't be continued any more. */
  forgetBefore(offset: number): void {
    this.#firstOffset = offset;
  }

  /** Sends another RDB from now on, in the same form, with the same stream behind it. */
  serve(rdb: Buffer): void {
    const script = this.#script;
    script.prologue = prologueOf(script.replid, script.startOffset, rdb, script.isDiskless);
  }

  /** Says of itself that it is a replica, or no longer. */
  pretendReplica(isReplica: boolean): void {
    this.#isReplica = isReplica;
  }

  /** Cuts all connections; it goes on listening. */
  disconnectAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnectAll();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    releasePort(this.port);
  }

  #serve(socket: Socket): void {
    const link = new PlayedLink(socket, this.#options.chunkSizes ?? []);
    const reader = new RequestReader();
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#links.delete(link);
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const args of reader.push(chunk)) this.#obey(link, args);
      } catch (error) {
        socket.end(`-ERR Protocol error: ${error instanceof Error ? error.message : String(error)}\r\n`);
      }
    });
  }

  #obey(link: PlayedLink, args: readonly string[]): void {
    const [name = "", first = "", second = ""] = args;
    const { inPlaceOf, renamed = {} } = this.#options;
    const other = inPlaceOf?.(args) ?? null;
    if (other !== null) return link.reply(other);
    const former = Object.keys(renamed).find((one) => renamed[one] === name);
    if (former === undefined && renamed[name.toUpperCase()] !== undefined)
      return link.reply(`-ERR unknown command \`${name}\`, with args beginning with: \r\n`);
    switch (former ?? name.toUpperCase()) {
      case "REPLCONF":
        return this.#configure(link, args.slice(1));
      case "PSYNC":
        return this.#synchronise(link, first, Number(second));
      case "QUIT":
        link.socket.end("+OK\r\n");
        return;
      default:
        link.reply(answer(args, this.#identity()));
    }
  }

  #configure(link: PlayedLink, options: readonly string[]): void {
    if (options[0]?.toLowerCase() === "ack") {
      this.acks.push({ offset: Number(options[1]), atMs: Date.now() });
      const start = link.onFirstAck;
      link.onFirstAck = undefined;
      start?.();
      return;
    }
    for (let index = 0; index < options.length; index += 2) {
      const option = options[index]?.toLowerCase() ?? "";
      if (option === "version") link.saidVersion = options[index + 1] ?? "";
      if (option === "capa") link.capabilities.add(options[index + 1]?.toLowerCase() ?? "");
      const isRdbOnly = option === "rdb-only" && this.#options.sendsRdbAlone === true;
      if (isRdbOnly) link.isRdbOnly = options[index + 1] === "1";
      const reply = isRdbOnly ? "+OK" : this.#script.replies.get(option);
      if (reply === "+OK") continue;
      link.reply(`${reply ?? `-ERR Unrecognized REPLCONF option: ${options[index]}`}\r\n`);
      return;
    }
    link.reply("+OK\r\n");
  }

  #synchronise(link: PlayedLink, replid: string, offset: number): void {
    const { version, prologue, isDiskless, startOffset, refuses } = this.#script;
    if (this.#links.has(link)) return; // a second PSYNC of a replica is ignored
    this.psyncs.push(replid);
    this.#links.add(link);
    const goOnline = (from: number): void => {
      link.isOnline = true;
      link.play(this.#script.stream.subarray(from));
    };
    const last = replid === this.#former.replid ? this.#former.secondOffset : this.finalOffset + 1;
    const isKnown = replid === this.#script.replid || replid === this.#former.replid;
    if (isKnown && offset >= this.#firstOffset && offset <= last) {
      this.#partialSyncs++;
      const isNamed = majorOf(version) >= 4 && link.capabilities.has("psync2");
      link.play(Buffer.from(isNamed ? `+CONTINUE ${this.#script.replid}\r\n` : "+CONTINUE\r\n"));
      goOnline(offset - startOffset - 1);
      return;
    }
    this.#fullSyncs++;
    if (refuses === "all" || (refuses === "versionless" && link.saidVersion === ""))
      return void link.socket.end(prologue.subarray(0, prologue.indexOf("\r\n", prologue.indexOf("+")) + 2));
    link.play(prologue);
    if (link.isRdbOnly) return link.end();
    if (isDiskless) link.onFirstAck = () => goOnline(0);
    else goOnline(0);
  }

  #identity(): PrimaryIdentity {
    const { version, replid } = this.#script;
    const { finalOffset: replOffset, port } = this;
    const former = this.#former;
    const firstOffset = this.#firstOffset;
    const replicas = this.#links.size;
    const { isCluster = false } = this.#options;
    return { version, replid, former, replOffset, firstOffset, replicas, port, isReplica: this.#isReplica, isCluster };
  }
}

function recordedScript(options: RecordedPrimaryOptions): Script {
  if (options.stream !== undefined) throw new Error("a stream can be given only together with an rdb");
  const recording = loadRecording(options.version, options.recording ?? "replication");
  const { content, bytes, fullresync } = recording;
  const replconf = recording.handshake.filter(({ sent }) => sent[0] === "REPLCONF");
  const saysVersion = replconf.some(({ sent }) => sent[1] === "version");
  return {
    version: options.version,
    replid: fullresync.replid,
    startOffset: fullresync.offset,
    prologue: content.subarray(0, bytes.streamStart),
    isDiskless: recording.rdbForm === "diskless",
    refuses: recording.rdbForm === "refused" ? "all" : saysVersion ? "versionless" : "none",
    replies: new Map([
      ...acceptedOptions(options.version),
      ...replconf.map(({ sent, reply }) => [sent[1] ?? "", reply] as const),
    ]),
    stream: content.subarray(bytes.streamStart),
  };
}

function rdbScript(options: RecordedPrimaryOptions, rdb: string | Buffer): Script {
  const content = typeof rdb === "string" ? readFileSync(rdb) : rdb;
  const replid = randomBytes(20).toString("hex");
  const startOffset = majorOf(options.version) >= 4 ? 0 : 1; // as a server of that version has it at its first full resync
  const isDiskless = options.recording === "replication-diskless";
  return {
    version: options.version,
    replid,
    startOffset,
    prologue: prologueOf(replid, startOffset, content, isDiskless),
    isDiskless,
    refuses: "none",
    replies: acceptedOptions(options.version),
    stream: options.stream ?? Buffer.alloc(0),
  };
}

function prologueOf(replid: string, startOffset: number, rdb: Buffer, isDiskless: boolean): Buffer {
  const marker = randomBytes(20).toString("hex");
  const header = `+FULLRESYNC ${replid} ${startOffset}\r\n$${isDiskless ? `EOF:${marker}` : rdb.length}\r\n`;
  return Buffer.concat([Buffer.from(header), rdb, Buffer.from(isDiskless ? marker : "")]);
}

/** REPLCONF options that every recorded version takes, ip-address from 3.2 on, and Valkey's version from 8 on (replication.c, replconfCommand). */
function acceptedOptions(version: FixtureVersion): Map<string, string> {
  const isValkey = version.startsWith("valkey-");
  const options = [
    "listening-port",
    "capa",
    ...(/^(2|3\.0)\./.test(version) ? [] : ["ip-address"]),
    ...(isValkey ? ["version"] : []),
  ];
  return new Map(options.map((option) => [option, "+OK"]));
}
