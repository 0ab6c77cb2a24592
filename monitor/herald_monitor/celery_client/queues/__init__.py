"""Queues of the broker: their depths, and the messages in them."""
