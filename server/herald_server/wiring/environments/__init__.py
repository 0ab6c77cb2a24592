"""Several Celery installations, served by one server."""
