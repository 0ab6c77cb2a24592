"""What a client's watch tells, gathered for tests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from herald_client import (
    Change,
    Gone,
    Put,
    Reset,
    Watch,
)
from herald_core.model.tasks.views import TaskView


class Told:
    """All that a watch tells, gathered beside the test."""

    def __init__(self) -> None:
        self.changes: list[Change[TaskView]] = []

    @property
    def tasks(self) -> dict[str, TaskView]:
        """What a program that follows the changes has now."""
        known: dict[str, TaskView] = {}
        for change in self.changes:
            match change:
                case Put(task):
                    known[task.id] = task
                case Gone(id_):
                    known.pop(id_, None)
                case Reset():
                    known.clear()
        return known

    @property
    def states(self) -> dict[str, str]:
        """Id → state."""
        return {id_: task.state for id_, task in self.tasks.items()}

    def has(self, id_: str) -> bool:
        """Whether a task is among the tasks."""
        return id_ in self.tasks

    @property
    def revs(self) -> list[str]:
        """The revs of all puts."""
        return [c.image.rev or "" for c in self.changes if isinstance(c, Put)]

    @property
    def resets(self) -> list[str]:
        """The reasons of all resets."""
        return [c.reason for c in self.changes if isinstance(c, Reset)]


@asynccontextmanager
async def following(watch: Watch[TaskView]) -> AsyncGenerator[Told, None]:
    """Gather what `watch` tells until the end of the block."""
    told = Told()

    async def gather() -> None:
        async for change in watch:
            told.changes.append(change)

    gathering = asyncio.create_task(gather())
    try:
        yield told
    finally:
        gathering.cancel()
        done = await asyncio.gather(gathering, return_exceptions=True)
        if isinstance(done[0], Exception):
            raise done[0]
