import { SLOT_COUNT } from "@sluice/redis";
import type { Call } from "../call.ts";
import { clusterInfoText, nodesText, shardsReply, slotsReply } from "../cluster-text.ts";
import { slotOfKey } from "../key-slot.ts";
import { integerOf } from "../number-text.ts";
import type { SimCluster } from "../sim-cluster.ts";
import { command, type SimCommand } from "../sim-command.ts";
import { bulk, bulks, integer, OK, Refusal, type Encoded } from "../sim-reply.ts";

const NO_SLOT = new Refusal("ERR Invalid or out of range slot");

function slotAt(call: Call, index: number): number {
  const slot = Number(integerOf(call.arg(index)) ?? -1);
  if (slot < 0 || slot >= SLOT_COUNT) throw NO_SLOT;
  return slot;
}

function setSlot(call: Call, cluster: SimCluster): Encoded {
  const { server } = call;
  const slot = slotAt(call, 2);
  const how = call.word(3);
  if (how === "STABLE") {
    cluster.setSlot(server, slot, how);
    return OK;
  }
  const other = cluster.servers.find(({ nodeId }) => nodeId === call.arg(4));
  if (other === undefined) throw new Refusal(`ERR I don't know about node ${call.arg(4)}`);
  if (how !== "MIGRATING" && how !== "IMPORTING" && how !== "NODE") {
    throw new Refusal("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
  }
  const isOwner = cluster.ownerOf(slot, server) === server;
  if (how === "MIGRATING" && !isOwner) throw new Refusal(`ERR I'm not the owner of hash slot ${slot}`);
  if (how === "IMPORTING" && isOwner) throw new Refusal(`ERR I'm already the owner of hash slot ${slot}`);
  if (how === "NODE" && isOwner && other !== server && server.keysInSlot(slot).length > 0) {
    throw new Refusal(`ERR Can't assign hashslot ${slot} to a different node while I still hold keys for this hash slot.`);
  }
  cluster.setSlot(server, slot, how, other);
  return OK;
}

function cluster(call: Call): Encoded {
  const { server } = call;
  const of = server.cluster;
  if (of === null) throw new Refusal("ERR This instance has cluster support disabled");
  switch (call.word(1)) {
    case "NODES":
      return bulk(nodesText(of, server));
    case "SLOTS":
      return slotsReply(of, server);
    case "SHARDS":
      return shardsReply(of, server);
    case "INFO":
      return bulk(clusterInfoText(of, server));
    case "MYID":
      return bulk(server.nodeId);
    case "KEYSLOT":
      return integer(slotOfKey(call.arg(2)));
    case "COUNTKEYSINSLOT":
      return integer(server.keysInSlot(slotAt(call, 2)).length);
    case "GETKEYSINSLOT":
      return bulks(server.keysInSlot(slotAt(call, 2)).slice(0, Number(call.int(3))));
    case "SETSLOT":
      return setSlot(call, of);
    default:
      throw new Refusal(`ERR unknown subcommand '${call.arg(1)}'. Try CLUSTER HELP.`);
  }
}

/** CLUSTER and its subcommands. */
export const clusterCommands: readonly SimCommand[] = [command("cluster", -2, "lt", null, cluster)];
