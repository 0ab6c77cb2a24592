"""What a writer stored lately, so that it need not ask for it."""

from __future__ import annotations

from collections import OrderedDict

from herald_monitor.batch import Known, Name
from herald_monitor.redis_records import known

OVER = 5
"""One of so many that are remembered may be a finished task."""


class Cache:
    """What was stored lately, the least used forgotten first.

    Finished tasks, of which little more is said, are remembered as bytes, as they
    are stored: to let go of all that one is made of, once it has gone cold, takes as
    long as to merge it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # A plain dict walks over all that was deleted to find its first.
        self._known: OrderedDict[Name, Known] = OrderedDict()
        self._over: OrderedDict[Name, bytes] = OrderedDict()

    def get(self, name: Name) -> Known | None:
        """Return what is remembered of `name`, as used just now."""
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
            return found
        stored = self._over.get(name)
        return None if stored is None else known(name[0], stored)

    def put(self, name: Name, told: Known | bytes) -> None:
        """Remember what was stored under a name that is not remembered."""
        if isinstance(told, bytes):
            self._over[name] = told
            if len(self._over) > self._most // OVER:
                self._over.popitem(last=False)
        else:
            self._known[name] = told
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def drop(self, name: Name) -> None:
        """Forget `name`."""
        if self._known.pop(name, None) is None:
            self._over.pop(name, None)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._over.clear()
