"""Purging of queues."""
