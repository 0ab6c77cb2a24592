"""Metrics and health of Herald itself."""
