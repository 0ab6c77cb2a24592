"""Helpers for tests of the outbox."""
