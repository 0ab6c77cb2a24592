"""Tools, a family a module."""
