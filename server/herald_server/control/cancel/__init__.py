"""Cancelling tasks and groups."""
