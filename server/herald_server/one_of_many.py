"""`python -m herald_server.one_of_many`: one of several server processes.

Started by `herald_server.many` only, with its settings in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys

from herald_monitor.daemon import celery_of, stop_on_signals
from herald_monitor.errors import HeraldError
from herald_server.commands.options import log_to_stderr, settings_of
from herald_server.config import ServerSettings
from herald_server.many import READY, READY_FD
from herald_server.serve import listen, serve


async def _run(settings: ServerSettings, pipe: int) -> None:
    bound = listen(settings.host, settings.port, shared=True)
    stop = stop_on_signals()
    app = celery_of(settings) if settings.broker_url or settings.app else None

    def ready(_: str) -> None:
        os.write(pipe, READY)

    await serve(settings, app, bound, stop, ready)


def main() -> int:
    """Serve until SIGTERM; 1 with a sentence if that is not possible."""
    log_to_stderr(os.environ.get("HERALD_LOG_LEVEL", "INFO"))
    pipe = os.environ.get(READY_FD, "")
    if not pipe.isdigit():
        sys.stderr.write("herald: use `herald server --workers N` instead\n")
        return 2
    try:
        asyncio.run(_run(settings_of(), int(pipe)))
    except HeraldError as error:
        sys.stderr.write(f"herald: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
