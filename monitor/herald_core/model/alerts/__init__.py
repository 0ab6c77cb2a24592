"""Alerts: problems that are reported when they begin, and when they end."""
