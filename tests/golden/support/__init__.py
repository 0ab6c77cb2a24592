"""Streams, clients and readers for the tests of the public contract."""
