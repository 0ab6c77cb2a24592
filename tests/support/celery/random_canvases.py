"""Random canvases from a seed: the same seed makes the same, task ids aside.

`python -m tests.support.celery.random_canvases SEED NUMBER` sends them for the app of
`project.py`.
"""

import os
import random
import sys
from collections.abc import Callable
from typing import Any, cast

from celery import Celery, canvas, chain, chord, group

from tests.support.celery.canvas_tasks import REPLACEMENTS

LEAVES = {
    "add": 30,
    "pair": 2,
    "delayed_sum": 4,
    "guarded": 2,
    "ids": 10,
    "fail": 5,
    "retry_once": 4,
    "auto_retry": 2,
    "refuse": 2,
    "refuse_once": 2,
    "stepwise": 3,
    "replaced": 12,
    "joined_by": 4,
    "starts": 4,
}
"""How often each task stands in a canvas, compared with the others."""

WITHOUT_RESULT = ("ignored", "no_result")
"""Only in chains of their own: a chord in a chord that waits for such a task blocks
its worker for ever (celery/backends/redis.py: on_chord_part_return)."""

DEPTH = 3


StampingVisitor: Any = cast(Any, canvas).StampingVisitor


class Stamp(StampingVisitor):  # type: ignore[misc]
    """Stamps each task of a canvas with one word."""

    def __init__(self, word: str) -> None:
        self.word = word

    def on_signature(self, sig: object, **headers: object) -> dict[str, object]:
        return {"word": self.word, "stamped_headers": ["word"]}


class Canvases:
    """Makes canvases of the tasks of `support/celery/canvas_tasks.py` for `app`."""

    def __init__(self, app: Celery, seed: int) -> None:
        self._app: Any = app
        self._random = random.Random(seed)
        self._kinds: dict[str, Callable[[int], Any]] = {
            "chain": self._chain,
            "group": self._group,
            "chord": self._chord,
            "spread": self._spread,
        }

    def send(self) -> None:
        """Make a canvas and send it, in one of the ways in which one can be sent."""
        made = self._resultless() if self._chance(0.05) else self.canvas(DEPTH)
        if self._chance(0.1):
            made.stamp(Stamp(f"s{self._random.randrange(9)}"))
        options: dict[str, Any] = {}
        if self._chance(0.05):
            options["countdown"] = 0.2
        if self._chance(0.05):
            options["priority"] = self._random.choice((0, 3, 9))
        made.apply_async(**options)

    def canvas(self, depth: int) -> Any:
        """Return a canvas in which no more than `depth` lie in one another."""
        if depth == 0 or self._chance(0.35):
            return self._leaf()
        made = self._kinds[self._random.choice(list(self._kinds))](depth - 1)
        return self._linked(made)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _some(self, least: int, most: int, depth: int) -> list[Any]:
        return [self.canvas(depth) for _ in range(self._random.randint(least, most))]

    def _chain(self, depth: int) -> Any:
        return chain(*self._some(2, 4, depth))

    def _group(self, depth: int) -> Any:
        return group(*self._some(1, 4, depth))

    def _chord(self, depth: int) -> Any:
        least = 0 if self._chance(0.1) else 1
        return chord(self._some(least, 4, depth), self.canvas(min(depth, 1)))

    def _spread(self, _: int) -> Any:
        add = self._app.tasks["canvas.add"]
        pairs = [(n, 1) for n in range(self._random.randint(1, 6))]
        kind = self._random.choice(("map", "starmap", "chunks"))
        if kind == "chunks":
            return add.chunks(pairs, 2).group()
        return getattr(add, kind)(pairs)

    def _resultless(self) -> Any:
        name = self._random.choice(WITHOUT_RESULT)
        return chain(self._leaf(), self._signature(name, (1,)), self._leaf())

    def _leaf(self) -> Any:
        name = self._random.choices(list(LEAVES), list(LEAVES.values()))[0]
        arguments: tuple[object, ...] = tuple(
            self._random.randint(-1, 9) for _ in range(self._random.randint(0, 2))
        )
        if name in ("replaced", "starts"):
            kinds = [kind for kind in REPLACEMENTS if kind != "slow"]
            arguments = (self._random.choice(kinds), *arguments)
        return self._linked(
            self._signature(name, arguments, immutable=self._chance(0.1))
        )

    def _signature(
        self, name: str, arguments: tuple[object, ...], immutable: bool = False
    ) -> Any:
        # What a canvas hands on comes first; so what names a kind stays immutable.
        immutable = immutable or name in ("replaced", "starts")
        return self._app.signature(f"canvas.{name}", arguments, immutable=immutable)

    def _linked(self, made: Any) -> Any:
        if self._chance(0.08):
            made.link(self._signature("add", (1,)))
        if self._chance(0.12):
            name = self._random.choice(("told_id", "told_all"))
            made.link_error(self._app.signature(f"canvas.{name}"))
        return made


def main(seed: int, number: int) -> None:
    """Send `number` canvases."""
    from tests.support.celery.project import app

    canvases = Canvases(app, seed)
    for _ in range(number):
        canvases.send()
    # Results want to unsubscribe when they go, for which it is too late at the end.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
