"""The commands of `herald`, one a file; each is imported only when it is called."""
