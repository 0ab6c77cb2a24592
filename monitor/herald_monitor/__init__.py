"""Herald's monitor: hears Celery, keeps what it means."""

from herald_monitor.progressing import progress

__version__ = "0.1.0"
__all__ = ["__version__", "progress"]
