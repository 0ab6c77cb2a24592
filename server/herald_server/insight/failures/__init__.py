"""Failures by cause: counts, descriptions and examples."""
