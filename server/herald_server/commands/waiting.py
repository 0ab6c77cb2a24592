"""Waiting for a task with its progress shown: for `wait` and `start --wait`."""

from __future__ import annotations

import asyncio
import sys

import click

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_server.client import Forgotten, Herald
from herald_server.commands.asking import note
from herald_server.commands.lines import (
    bar,
    harmless,
    how_far,
    percent,
    plain,
    state,
    task_line,
    to_json_line,
)

TIMED_OUT = 3
NO_ENDING = 2
CODES = {shape.SUCCESS: 0, shape.FAILURE: 1}
"""State → exit code; every other way to end is `NO_ENDING`."""

CLEAR = "\r\x1b[K"


class Meter:
    """A task's progress on stderr: one line that is redrawn, or one a change."""

    def __init__(self, redraw: bool) -> None:
        self._redraw = redraw
        self._drawn = False

    def show(self, task: TaskImage) -> None:
        """Show where `task` is."""
        if task.state == shape.UNKNOWN:
            note(f"nothing is known of {plain(task.id)} yet; waiting for a word of it")
        elif not self._redraw:
            click.echo(task_line(task), err=True)
        else:
            click.echo(CLEAR + _drawing(task), err=True, nl=False)
            self._drawn = True

    def end(self) -> None:
        """Leave the line free for what is printed next."""
        if self._drawn:
            click.echo(CLEAR, err=True, nl=False)
        self._drawn = False


async def wait_for(
    herald: Herald,
    task_id: str,
    timeout: float | None,  # noqa: ASYNC109
    as_json: bool,
) -> int:
    """Print the task once it has ended; return the exit code."""
    meter = Meter(sys.stderr.isatty())
    last = TaskImage(id=task_id, state=shape.UNKNOWN)
    try:
        async with asyncio.timeout(timeout):
            async for task in herald.follow(task_id):
                last = task
                meter.show(last)
    except TimeoutError:
        meter.end()
        still = f"{plain(task_id)} is still {last.state}"
        click.echo(f"Error: after {timeout:g} s, {still}", err=True)
        return TIMED_OUT
    except Forgotten as error:
        click.echo(harmless(f"Error: {error}"), err=True)
        return NO_ENDING
    finally:
        meter.end()
    click.echo(to_json_line(last) if as_json else task_line(last))
    return CODES.get(last.state, NO_ENDING)


def _drawing(task: TaskImage) -> str:
    done = percent(task.progress)
    parts = [
        state(task.state),
        plain(task.name, 40) or plain(task.id, 40),
        bar(done) if done is not None else "",
        plain(how_far(task), 40),
    ]
    return "  ".join(part for part in parts if part)
