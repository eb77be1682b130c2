//! Replicas agree: shards as Raft groups whose log is the event store.
