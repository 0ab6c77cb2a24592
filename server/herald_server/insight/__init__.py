"""Answers computed from what the store knows."""
