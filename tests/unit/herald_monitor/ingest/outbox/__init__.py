"""Tests of the outbox without a server."""
