"""Herald's monitor: hears Celery, keeps what it means."""

__version__ = "0.1.0"
