"""Orders to workers, with outcomes that are verified; pauses of queues."""
