"""Herald's monitor: receives Celery's events, stores them, repairs gaps."""
