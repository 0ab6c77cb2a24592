"""One of several server processes (`python -m`).

Started by `multiprocess` only, with its settings in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys

from herald_core.errors import HeraldError
from herald_monitor.runtime.process import load_celery_app, stop_on_signals
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.processes.multiprocess import READY, READY_FD
from herald_server.wiring.settings import ServerSettings, make_settings
from herald_server.wiring.web_server.listening import listen
from herald_server.wiring.web_server.server import serve


async def _run(settings: ServerSettings, pipe: int) -> None:
    bound = listen(settings.host, settings.port, shared=True)
    stop = stop_on_signals()
    app = load_celery_app(settings) if settings.broker_url or settings.app else None

    def ready(_: str) -> None:
        os.write(pipe, READY)

    await serve(settings, app, bound, stop, ready)


def main() -> int:
    """Serve until SIGTERM; return 1 with a message if that is not possible."""
    log_to_stderr(os.environ.get("HERALD_LOG_LEVEL", "INFO"))
    pipe = os.environ.get(READY_FD, "")
    if not pipe.isdigit():
        sys.stderr.write("herald: use `herald server --workers N` instead\n")
        return 2
    try:
        asyncio.run(_run(make_settings(), int(pipe)))
    except HeraldError as error:
        sys.stderr.write(f"herald: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
