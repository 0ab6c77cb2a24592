"""How long it takes to start: Python alone, `herald --help`, `herald up`."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.ingest import broker
from tests.herald import HeraldProcess
from tests.servers import ROOT


def _timed(run: Callable[[], object], times: int) -> float:
    took: list[float] = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        took.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(took)


def _python(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(
        [sys.executable, *words], cwd=ROOT, check=True, capture_output=True
    )


def startup(times: int = 5) -> dict[str, float]:
    """Return milliseconds, the median of some starts."""
    return {
        "python": _timed(_python("-c", "pass"), times),
        "python, import celery": _timed(_python("-c", "import celery"), times),
        "herald --help": _timed(_python("-m", "herald_server", "--help"), times),
        "herald up until ready": _ready(min(times, 3)),
    }


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
    return statistics.median(took)
