"""Prometheus, celery-exporter, and the boards and alerts that are published for it."""
