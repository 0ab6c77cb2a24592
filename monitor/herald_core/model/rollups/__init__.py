"""Counts per minute, and the amount that one change adds to them."""
