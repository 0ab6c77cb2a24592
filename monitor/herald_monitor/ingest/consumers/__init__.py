"""Consumers of events, one for each kind of broker."""
