"""Repair: unfinished tasks are looked up in the backend, workers and queues."""
