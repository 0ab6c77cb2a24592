"""The client of Celery: its app, its broker, its workers, its result backend."""
