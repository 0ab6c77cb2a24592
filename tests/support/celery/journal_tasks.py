"""Tasks that write a log of their own runs: the truth that Herald is compared with.

Each line is written by one call, so that none is torn, and stays if the worker dies.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import redis

import herald_worker

START = "start"
SUCCESS, FAILURE, RETRY = "SUCCESS", "FAILURE", "RETRY"


class JournalLine(msgspec.Struct, frozen=True):
    """That a run of a task began, or how it ended, and when (unix seconds)."""

    id: str
    run: int
    pid: int
    word: str
    at: float


class Run(msgspec.Struct):
    """One run of a task, by its log. `end` is empty while it goes on."""

    started_at: float
    retries: int
    end: str = ""
    ended_at: float = 0.0


def read_journal(path: Path) -> dict[str, list[Run]]:
    """Return the runs of each task, in the order of their starts."""
    runs: dict[str, list[Run]] = {}
    running: dict[tuple[str, int], Run] = {}
    decode = msgspec.json.Decoder(JournalLine).decode
    for text in path.read_text().splitlines() if path.exists() else []:
        line = decode(text)
        if line.word == START:
            run = running[line.id, line.pid] = Run(line.at, line.run)
            runs.setdefault(line.id, []).append(run)
        else:
            run = running.pop((line.id, line.pid))
            run.end, run.ended_at = line.word, line.at
    return runs


def _write(path: str, task: Any, word: str) -> None:
    said = {"id": task.request.id, "run": task.request.retries, "pid": os.getpid()}
    line = json.dumps({**said, "word": word, "at": time.time()}) + "\n"
    with Path(path).open("ab", buffering=0) as log:
        log.write(line.encode())


def journaled(
    self: Any,
    *_results: object,
    path: str,
    retries: int = 0,
    steps: int = 0,
    fails: bool = False,
    seconds: float = 0.0,
) -> int:
    """Retry so often, tell of so many steps, and end as it is told."""
    _write(path, self, START)
    for step in range(1, steps + 1):
        herald_worker.progress(step, steps, f"step {step}")
    time.sleep(seconds)
    if self.request.retries < retries:
        _write(path, self, RETRY)
        raise self.retry(countdown=0.05, exc=ValueError("again"), max_retries=retries)
    _write(path, self, FAILURE if fails else SUCCESS)
    if fails:
        raise ValueError("no")
    return 1


def fail_first(self: Any, url: str, key: str, number: int = 0) -> int:
    """Fail, except as the rerun of another task: then count that in the hash `key`."""
    if self.request.parent_id is None:
        raise ValueError(f"the first run of {number} fails")
    with redis.Redis.from_url(url) as client:
        return int(client.hincrby(key, self.request.parent_id, 1))


TASKS: dict[str, tuple[Callable[..., object], dict[str, object]]] = {
    "fail_first": (fail_first, {"bind": True}),
    "journaled": (journaled, {"bind": True}),
    "journaled_only": (journaled, {"bind": True, "ignore_result": True}),
}
