"""Commands to Celery: start, cancel, retry."""
