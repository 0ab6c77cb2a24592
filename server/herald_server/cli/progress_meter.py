"""Wait for a task and show its progress: for `wait` and `start --wait`."""

from __future__ import annotations

import asyncio
import sys

import click

from herald_client import Herald, RecordExpired
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.cli.client_options import print_notice
from herald_server.cli.formatting import (
    clean_text,
    cut_first_line,
    format_bar,
    format_progress,
    format_state,
    format_task,
    get_percent,
    to_json_line,
)

EXIT_TIMED_OUT = 3
EXIT_NO_ENDING = 2
EXIT_CODES = {views.SUCCESS: 0, views.FAILURE: 1}
"""State → exit code; every other way to end is `EXIT_NO_ENDING`."""

CLEAR_LINE = "\r\x1b[K"


class ProgressMeter:
    """Progress of a task on stderr: one line that is redrawn, or one per change."""

    def __init__(self, redraw: bool) -> None:
        self._redraw = redraw
        self._last_drawn = False

    def show(self, task: TaskView) -> None:
        """Show the state of `task`."""
        if task.state == views.UNKNOWN:
            print_notice(
                f"nothing is known of {cut_first_line(task.id)} yet; "
                "waiting for a word of it"
            )
        elif not self._redraw:
            click.echo(format_task(task), err=True)
        else:
            click.echo(CLEAR_LINE + _draw(task), err=True, nl=False)
            self._last_drawn = True

    def end(self) -> None:
        """Clear the line."""
        if self._last_drawn:
            click.echo(CLEAR_LINE, err=True, nl=False)
        self._last_drawn = False


async def wait_for(
    herald: Herald,
    task_id: str,
    timeout: float | None,  # noqa: ASYNC109
    as_json: bool,
) -> int:
    """Print the task once it has ended; return the exit code."""
    meter = ProgressMeter(sys.stderr.isatty())
    last = TaskView(id=task_id, state=views.UNKNOWN)
    try:
        async with asyncio.timeout(timeout):
            async for task in herald.follow(task_id):
                last = task
                meter.show(last)
    except TimeoutError:
        meter.end()
        still = f"{cut_first_line(task_id)} is still {last.state}"
        click.echo(f"Error: after {timeout:g} s, {still}", err=True)
        return EXIT_TIMED_OUT
    except RecordExpired as error:
        click.echo(clean_text(f"Error: {error}"), err=True)
        return EXIT_NO_ENDING
    finally:
        meter.end()
    click.echo(to_json_line(last) if as_json else format_task(last))
    return EXIT_CODES.get(last.state, EXIT_NO_ENDING)


def _draw(task: TaskView) -> str:
    done = get_percent(task.progress)
    parts = [
        format_state(task.state),
        cut_first_line(task.name, 40) or cut_first_line(task.id, 40),
        format_bar(done) if done is not None else "",
        cut_first_line(format_progress(task), 40),
    ]
    return "  ".join(part for part in parts if part)
