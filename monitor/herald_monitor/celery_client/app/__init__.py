"""The Celery app, made from a project or from URLs."""
