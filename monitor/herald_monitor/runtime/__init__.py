"""The monitor as a process."""
