"""The latest runs of each process of a pool, in memory that they share with the worker.

A child writes a place of its own, without a lock; the worker reads it when it has lost
what the child told it. The table is made before the children are forked.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_CHILDREN = 256
RUNS_A_CHILD = 16
"""Runs that are kept: the worker looks some times a second for those that it misses."""

RUN_BYTES = 512
MAX_ID_BYTES = 255
_HEAD = struct.Struct("<QIddHH")
"""Sequence (odd while it is written), retries, start, end, bytes of the id and of the
rest: the state, and the text of an exception."""

MAX_REST_BYTES = RUN_BYTES - _HEAD.size - MAX_ID_BYTES


class Run(NamedTuple):
    """A run of a task. `ended_at` is 0 while it goes on. Times are unix seconds."""

    task_id: str
    retries: int
    started_at: float
    ended_at: float = 0.0
    state: str = ""
    text: str = ""


class RunTable:
    """Runs by the number of the child."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, MAX_CHILDREN * RUNS_A_CHILD * RUN_BYTES)

    def write(self, child: int, number: int, run: Run) -> None:
        """Write the run that is the `number`-th of a child."""
        task_id = run.task_id.encode("utf-8", "replace")[:MAX_ID_BYTES]
        rest = f"{run.state} {run.text}".encode("utf-8", "replace")[:MAX_REST_BYTES]
        at = self._find_place(child, number)
        sizes = len(task_id), len(rest)
        head = (run.retries, run.started_at, run.ended_at, *sizes)
        _HEAD.pack_into(self._memory, at, 2 * number + 1, *head)
        begin = at + _HEAD.size
        self._memory[begin : begin + sum(sizes)] = task_id + rest
        _HEAD.pack_into(self._memory, at, 2 * number + 2, *head)

    def iter_runs(self) -> Iterator[Run]:
        """Yield all runs; those that are just being written are left out."""
        for child in range(MAX_CHILDREN):
            for number in range(RUNS_A_CHILD):
                at = self._find_place(child, number)
                if not _HEAD.unpack_from(self._memory, at)[0]:
                    break
                if (run := self._read(at)) is not None:
                    yield run

    def _find_place(self, child: int, number: int) -> int:
        return (child * RUNS_A_CHILD + number % RUNS_A_CHILD) * RUN_BYTES

    def _read(self, at: int) -> Run | None:
        sequence, retries, started, ended, id_size, rest_size = _HEAD.unpack_from(
            self._memory, at
        )
        begin, end = at + _HEAD.size, at + _HEAD.size + id_size + rest_size
        told = self._memory[begin:end]
        again: int = _HEAD.unpack_from(self._memory, at)[0]
        if sequence % 2 or sequence != again:
            return None
        task_id = told[:id_size].decode("utf-8", "replace")
        state, _, text = told[id_size:].decode("utf-8", "replace").partition(" ")
        return Run(task_id, retries, started, ended, state, text)
