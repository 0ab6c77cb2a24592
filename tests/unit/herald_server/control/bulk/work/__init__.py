"""The work on each task."""
