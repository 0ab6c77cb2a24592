"""Connections to Redis, discovery of its primary, and its errors."""
