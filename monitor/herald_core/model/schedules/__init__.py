"""Periodic tasks: which runs belong to which due times, and what did not run."""
