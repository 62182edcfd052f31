import { Connection } from "@sluice/redis";

/** Every byte that a server without data replicates while `work` runs; it must let a replica attach over a file. */
export async function replicationOf(port: number, work: () => Promise<void>): Promise<Buffer> {
  const connection = await Connection.open({ host: "127.0.0.1", port });
  await connection.call(["REPLCONF", "capa", "psync2"]);
  await connection.call(["PSYNC", "?", "-1"]);
  const { socket, leftover } = connection.detach();
  const marker = "the end of what is recorded";
  const chunks: Buffer[] = [leftover];
  let start = -1;
  const isComplete = async (wanted: (all: Buffer) => boolean): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const all = Buffer.concat(chunks.splice(0));
        chunks.push(all);
        if (wanted(all)) resolve(all);
      };
      socket.removeAllListeners("data");
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        look();
      });
      socket.on("error", reject);
      socket.resume();
      look();
    });
  await isComplete((all) => {
    const header = /^\n*\$(\d+)\r\n/.exec(all.toString("latin1", 0, 100));
    if (header !== null) start = header[0].length + Number(header[1]);
    return start >= 0 && all.length >= start;
  });
  await work();
  const client = await Connection.open({ host: "127.0.0.1", port });
  await client.call(["PUBLISH", "end", marker]);
  client.close();
  const all = await isComplete((bytes) => bytes.includes(marker));
  socket.destroy();
  return all.subarray(start, all.lastIndexOf("*3\r\n$7\r\nPUBLISH"));
}
