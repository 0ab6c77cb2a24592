"""Middleware, and parts of requests and responses."""
