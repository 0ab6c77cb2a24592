"""Texts of tool results."""
