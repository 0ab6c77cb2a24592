"""Coverage as an assignment problem, solved exactly.

One week is a network: each faculty member carries as many units as blocks fit
into their weekly hours, at most one unit a half-day, and each block takes one
unit from somebody who may cover it. A largest flow covers as many blocks as
can be covered at all. It is found by augmenting paths: a block that nobody is
free for takes somebody from another block, which finds somebody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Problem:
    """The week as numbers.

    Block `b` lies in half-day `slots[b]` and may be covered by `candidates[b]`;
    faculty member `f` covers at most `limits[f]` blocks.
    """

    slots: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...]
    limits: tuple[int, ...]

    @property
    def slot_count(self) -> int:
        """How many half-days there are."""
        return max(self.slots, default=-1) + 1


class Assignment:
    """Who covers which block; valid at any time, largest after `cover_all`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.cover = [NOBODY] * len(problem.slots)
        self.load = [0] * len(problem.limits)
        self._width = problem.slot_count
        self._at = [NOBODY] * (self._width * len(problem.limits))
        self._gone: frozenset[int] = frozenset()

    def copy(self) -> Assignment:
        """Return one that can be changed by itself."""
        twin = Assignment.__new__(Assignment)
        twin.problem, twin._width = self.problem, self._width
        twin._gone = self._gone
        twin.cover, twin.load, twin._at = self.cover[:], self.load[:], self._at[:]
        return twin

    @property
    def uncovered(self) -> list[int]:
        """The blocks that nobody covers."""
        return [block for block, who in enumerate(self.cover) if who == NOBODY]

    def blocks_of(self, who: int) -> list[int]:
        """Return the blocks that one faculty member covers."""
        row = self._at[who * self._width : (who + 1) * self._width]
        return [block for block in row if block != NOBODY]

    def free(self, who: int, block: int) -> bool:
        """Tell whether one may take a block without giving up another."""
        return (
            who not in self._gone
            and self._at[who * self._width + self.problem.slots[block]] == NOBODY
            and self.load[who] < self.problem.limits[who]
        )

    def give(self, block: int, who: int) -> None:
        """Let `who`, who is free, cover a block, instead of who covered it."""
        slot = self.problem.slots[block]
        before = self.cover[block]
        if before != NOBODY:
            self._at[before * self._width + slot] = NOBODY
            self.load[before] -= 1
        self.cover[block] = who
        if who != NOBODY:
            self._at[who * self._width + slot] = block
            self.load[who] += 1

    def cover_all(self, blocks: Iterable[int]) -> list[int]:
        """Cover as many of the blocks as can be; return those that cannot.

        A block without an augmenting path stays without one while others are
        augmented, and so does every block that its search met: one try for
        each is enough, and no search need enter where one has failed.
        """
        dead: set[int] = set()
        return [block for block in blocks if not self.augment(block, dead)]

    def without(self, gone: Collection[int]) -> Assignment:
        """Return the largest assignment after the loss of some faculty."""
        rest = self.copy()
        rest._gone = self._gone.union(gone)
        dropped = [block for who in gone for block in rest.blocks_of(who)]
        for block in dropped:
            rest.give(block, NOBODY)
        rest.cover_all(dropped)
        return rest

    def augment(self, start: int, dead: set[int]) -> bool:
        """Cover one block, moving others if need be; False if it cannot be.

        Blocks in `dead` are not moved; a failed search adds those that it met.
        """
        # For each block met: which block wants its place, and with whom.
        wanted: dict[int, tuple[int, int]] = {start: (NOBODY, NOBODY)}
        asked: set[int] = set()
        queue = deque((start,))
        slots, at, width = self.problem.slots, self._at, self._width
        while queue:
            block = queue.popleft()
            for who in self.problem.candidates[block]:
                if who in self._gone:
                    continue
                held = at[who * width + slots[block]]
                if held != NOBODY:
                    others: Sequence[int] = (held,)
                elif self.load[who] < self.problem.limits[who]:
                    self._shift(block, who, wanted)
                    return True
                elif who not in asked:
                    asked.add(who)
                    others = self.blocks_of(who)
                else:
                    continue
                for other in others:
                    if other not in wanted and other not in dead:
                        wanted[other] = (block, who)
                        queue.append(other)
        dead.update(wanted)
        return False

    def _shift(self, block: int, who: int, wanted: dict[int, tuple[int, int]]) -> None:
        while block != NOBODY:
            wanting, place = wanted[block]
            self.give(block, who)
            block, who = wanting, place


def stated(problem: Problem, cover: Sequence[int]) -> Assignment:
    """Return the assignment that a roster states, without what breaks a rule."""
    plan = Assignment(problem)
    for block, who in enumerate(cover):
        if who in problem.candidates[block] and plan.free(who, block):
            plan.give(block, who)
    return plan


def solve(problem: Problem, fair: bool = True) -> Assignment:
    """Return a largest assignment, shared evenly if `fair`.

    Blocks with few candidates choose first; otherwise in their own order, and
    the first who is free takes it.
    """
    plan = Assignment(problem)
    order: Iterable[int] = range(len(problem.slots))
    if fair:
        order = sorted(order, key=lambda block: len(problem.candidates[block]))
    left = [block for block in order if not _take(plan, block, fair)]
    plan.cover_all(left)
    if fair:
        even_out(plan)
    return plan


def _take(plan: Assignment, block: int, fair: bool) -> bool:
    free = [who for who in plan.problem.candidates[block] if plan.free(who, block)]
    if free:
        plan.give(block, min(free, key=plan.load.__getitem__) if fair else free[0])
    return bool(free)


def even_out(plan: Assignment) -> int:
    """Move blocks from who has many to who has few; return how many moved."""
    moved = 0
    busy = True
    while busy:
        busy = False
        for block, who in enumerate(plan.cover):
            if who == NOBODY:
                continue
            for other in plan.problem.candidates[block]:
                if plan.load[other] + 1 < plan.load[who] and plan.free(other, block):
                    plan.give(block, other)
                    moved, busy = moved + 1, True
                    break
    return moved
