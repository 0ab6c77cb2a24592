"""Bulk orders: retry or cancel many tasks as one tracked order."""
