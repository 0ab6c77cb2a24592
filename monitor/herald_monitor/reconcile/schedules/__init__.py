"""Following of periodic tasks: what was due, what ran, and what did not."""
