"""Schedules as Celery's own objects: read from their sources, and their due times."""
