"""How long it takes to start: Python alone, `herald --help`, `herald up`."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.ingest import broker
from tests.herald import HeraldProcess
from tests.servers import ROOT


def _timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - begin)


def _python(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(
        [sys.executable, *words], cwd=ROOT, check=True, capture_output=True
    )


COMMANDS = {
    "python": _python("-c", "pass"),
    "python, import celery": _python("-c", "import celery"),
    "herald --help": _python("-m", "herald_server", "--help"),
}


def startup(times: int = 9) -> dict[str, float]:
    """Return milliseconds, the best of some starts: noise only ever adds."""
    # In turns: whatever else the machine does falls on all of them.
    rounds = [
        {what: _timed(run) for what, run in COMMANDS.items()} for _ in range(times)
    ]
    told = {what: min(one[what] for one in rounds) for what in COMMANDS}
    return told | {"herald up until ready": _ready(3)}


def _ready(times: int) -> float:
    with broker() as url, tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        took: list[float] = []
        for number in range(times):
            data = str(Path(place) / f"store{number}")
            words = ("up", "--broker", url, "--data", data, "--log-level", "error")
            herald = HeraldProcess(log, *words)
            begin = time.perf_counter()
            try:
                herald.start()
                took.append(1e3 * (time.perf_counter() - begin))
            finally:
                herald.stop()
    return min(took)
