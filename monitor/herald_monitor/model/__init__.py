"""What Celery events mean. Pure: no clock, no socket, no Redis, no Celery."""
