"""The commands of `herald`, one per file; each is imported only when called."""
