import type { JetStreamManager, StreamConfig } from "@nats-io/jetstream";

/**
 * Gives a stream that has fewer than `replicas` copies those that it lacks; never takes one away, since one that has more was
 * given them by an operator. NATS fills the new copies in the background. Rejects when there are too few servers.
 */
export async function raiseReplicas(manager: JetStreamManager, config: StreamConfig, replicas: number): Promise<void> {
  if (config.num_replicas >= replicas) return;
  await manager.streams.update(config.name, { ...config, num_replicas: replicas });
}
