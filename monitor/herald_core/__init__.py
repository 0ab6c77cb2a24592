"""Herald's domain: Celery's events, the task model, and the stores.

errors < model < system < settings < store
"""

__version__ = "0.1.0"
