"""Celery events: decoding, their exceptions, and secrets that are cut out of them."""
