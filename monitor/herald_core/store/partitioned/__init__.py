"""A store over several partitions, for Redis Cluster."""
