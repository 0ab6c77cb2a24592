"""Shapes of tool results."""
