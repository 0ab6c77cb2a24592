"""Orders to workers, without a worker."""
