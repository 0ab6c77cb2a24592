"""The store: its ports, and three adapters (Redis, memory, partitioned Redis)."""
