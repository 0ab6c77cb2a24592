"""Alerts: rules that fire and resolve, and the notices about them."""
