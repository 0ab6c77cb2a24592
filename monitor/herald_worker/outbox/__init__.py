"""The worker outbox: a Redis stream that keeps events until they are read."""
