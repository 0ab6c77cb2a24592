"""The code that runs inside workers and web processes of users.

It needs Celery, redis-py and the standard library, and no other package of Herald.
"""

from herald_worker.outbox.installation import install
from herald_worker.progress import progress
from herald_worker.tags import tags

__all__ = ["install", "progress", "tags"]
