"""The change log, read once in a process and handed to subscribers."""
