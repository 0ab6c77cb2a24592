"""Scripts that run inside Redis."""
