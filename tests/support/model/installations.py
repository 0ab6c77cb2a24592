"""A small installation that runs one task, drawn at random: what is said, what is true.

A message is delivered, run, retried, handed back, delivered again while its first run
goes on, or comes back because its worker died. Clocks of workers are wrong by
milliseconds or days, and jump. Each worker is heard in its own order, but late.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from herald_core.model.events.event import Event
from tests.support.model.events import T0, say

SKEWS = (0.0, -0.02, -120.0, 120.0, -200_000.0, 200_000.0)
ENDS = ("succeeded", "failed", "revoked!")
CONTINUED = ("retried", "rejected!", "dies", "again")


class Process:
    """A worker process: a name, a pid, a clock of each kind, and words on their way."""

    def __init__(self, host: str, pid: int, skew: float) -> None:
        self.host, self.pid, self.skew, self.clock = host, pid, skew, 0
        self.has: list[int] = []
        """Attempts whose message lies here."""
        self.runs: list[int] = []
        """Attempts that run here, the oldest first."""
        self.unheard: list[Callable[[float], Event]] = []

    def says(self, word: str, now: float, attempt: int | None = None) -> None:
        """Say `word`, and with it the `attempt`, as by the outbox."""
        self.clock += 1
        clock, said = self.clock, now + self.skew

        def hear(heard: float) -> Event:
            return say(
                word,
                clock,
                host=self.host,
                pid=self.pid,
                at=min(said, heard),
                arrived_at=heard,
                worker_time=said if said > heard else None,
                **({} if attempt is None else {"retries": attempt}),
            )

        self.unheard.append(hear)


class Lived(NamedTuple):
    """What was heard, in that order; how many runs were begun, and how they ended."""

    events: list[Event]
    begun: int
    ends: list[str]


class Installation:
    """Runs a task until nothing is left to do.

    `copies`: messages may be doubled; `deaths`: workers may die, and say nothing;
    `at_once`: words of several workers may be heard in one moment; `named`: each word
    names its attempt; `ends`: the part of the runs that end for good, if
    it is not about a half.
    """

    def __init__(
        self,
        draw: Random,
        copies: bool = True,
        deaths: bool = True,
        at_once: bool = False,
        named: bool = False,
        ends: float | None = None,
    ) -> None:
        self.draw, self.copies, self.deaths, self.now = draw, copies, deaths, T0
        self.at_once, self.named, self._end_share = at_once, named, ends
        self.queue = [0]
        self.workers = [self._worker(host) for host in "abc"[: draw.randint(1, 3)]]
        self.gone: list[Process] = []
        self.events: list[Event] = []
        self.begun, self.ends = 0, list[str]()

    def _worker(self, host: str, pid: int = 1) -> Process:
        return Process(host, pid, self.draw.choice(SKEWS))

    def live(self, steps: int) -> Lived:
        for _ in range(steps):
            self._step()
            self._listen(self.draw.random() < 0.7)
        self.copies = False
        while self.queue or any(w.has or w.runs for w in self.workers):
            self._step(self.draw.random() < 0.5)
            self._listen(True)
        for process in self.gone + self.workers:
            while process.unheard:
                self._hear(process)
        return Lived(self.events, self.begun, self.ends)

    def _step(self, ends: bool = False) -> None:
        self.now += self.draw.choice([0.0, 0.003, 0.003, 2.0, 90.0])
        worker = self.draw.choice(self.workers)
        if self.queue and self.draw.random() < 0.5 and self._takes(worker):
            worker.has.append(attempt := self.queue.pop(0))
            worker.says(f"received:{attempt}", self.now)
        elif worker.has and not worker.runs:
            worker.runs.append(attempt := worker.has.pop(0))
            worker.says("started", self.now, attempt if self.named else None)
            self.begun += 1
        elif worker.runs:
            self._end(worker, ends)
        elif self.copies and self.draw.random() < 0.1:
            # Of what is heard at once the worker's own clock tells the order.
            self._listen(True)
            self.now += 2.0
            worker.skew = self.draw.choice(SKEWS)

    def _takes(self, worker: Process) -> bool:
        """Whether no other attempt lies there, whose ends could be mixed up."""
        return {*worker.has, *worker.runs} <= {self.queue[0]}

    def _end(self, worker: Process, ends: bool) -> None:
        share = self._end_share
        if not ends and share is not None and self.draw.random() >= share:
            end = self.draw.choice(CONTINUED)
        else:
            end = self.draw.choice(ENDS if ends else [*ENDS, *CONTINUED])
        attempt = worker.runs[0]
        if end == "again" or (end == "dies" and not self.deaths):
            if self.copies:
                self.queue.append(attempt)
            return
        worker.runs.pop(0)
        if end == "dies":
            self._die(worker, attempt)
            return
        worker.says(end, self.now, attempt if self.named else None)
        if end == "retried":
            self.queue.append(attempt + 1)
        elif end == "rejected!":
            self.queue.append(attempt)
        else:
            self.ends.append(end)

    def _die(self, worker: Process, attempt: int) -> None:
        """Kill `worker`; all that it had comes back, and it has another pid."""
        self.queue += [attempt, *worker.has]
        self.gone.append(worker)
        new = self._worker(worker.host, worker.pid + 1)
        self.workers[self.workers.index(worker)] = new

    def _listen(self, soon: bool) -> None:
        for process in self.gone + self.workers:
            while process.unheard and (soon or self.draw.random() < 0.5):
                self._hear(process)

    def _hear(self, process: Process) -> None:
        self.now += 0.0 if self.at_once else 0.002
        self.events.append(process.unheard.pop(0)(self.now))
