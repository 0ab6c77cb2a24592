"""The task model. Pure: no clock, no socket, no Redis, no Celery."""
