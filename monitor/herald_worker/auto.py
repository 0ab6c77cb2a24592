"""The outbox without a line of code: `celery -A proj worker -I herald_worker.auto`.

A worker imports this module before it sends its first event, and its app is then
Celery's current one. Settings come from the environment, see `outbox.settings`.
"""

from typing import Any, cast

from celery import current_app

from herald_worker.outbox.installation import install, is_installed

app = cast(Any, current_app)._get_current_object()
if not is_installed(app):
    install(app)
