"""The reader of the outbox: streams of Redis in, batches of events out."""
