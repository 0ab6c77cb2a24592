"""Connections of clients: what is sent on each, and when."""
