"""The sample Celery project and `herald demo`."""
