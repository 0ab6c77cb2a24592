"""`herald status`."""

from __future__ import annotations

import click

from herald_monitor.model import shape
from herald_monitor.model.shape import AttemptImage
from herald_server.client import Herald, TaskDetail
from herald_server.commands.asking import connected, json_option
from herald_server.commands.lines import (
    clean,
    how_far,
    moment,
    plain,
    runtime,
    state,
    table,
    to_json_line,
)

WIDE = 1_000
HEAD = ("ATTEMPT", "STATE", "WORKER", "PID", "STARTED", "FINISHED", "RUNTIME", "")

UNHEARD = {
    shape.UNKNOWN: "nothing was ever heard of the task {}; is the id right?",
    shape.EXPIRED: "the record of the task {} ran out; it was known once",
}


@click.command()
@click.argument("task_id", metavar="ID")
@json_option
@connected
async def status(herald: Herald, task_id: str, as_json: bool) -> int:
    """Show all that is known of the task ID.

    The exit code is 1 if nothing is known of it.
    """
    task = await herald.task(task_id)
    missing = UNHEARD.get(task.state)
    if as_json:
        click.echo(to_json_line(task))
    elif missing:
        click.echo("Error: " + missing.format(plain(task_id)), err=True)
    else:
        for text in page(task):
            click.echo(text)
    return 1 if missing else 0


def page(task: TaskDetail) -> list[str]:
    """Return all that is known of a task, as lines."""
    lines = [f"{state(task.state, 0)}  {plain(task.name) or '?'}"]
    lines += [f"  {key:<10}{text}" for key, text in _facts(task) if text]
    if task.conflict:
        lines.append("  what was heard of it contradicts itself")
    if task.attempts:
        lines += ["", *table(HEAD, map(_row, task.attempts))]
    if task.traceback:
        lines += ["", *(clean(line, WIDE) for line in task.traceback.splitlines())]
    return lines


def _facts(task: TaskDetail) -> list[tuple[str, str]]:
    pid = f" (pid {task.pid})" if task.pid else ""
    return [
        ("id", plain(task.id)),
        ("args", plain(task.args, WIDE)),
        ("kwargs", plain(task.kwargs, WIDE)),
        ("queue", plain(task.queue)),
        ("worker", plain((task.worker or "") + pid)),
        ("root", plain(task.root_id) if task.root_id != task.id else ""),
        ("parent", plain(task.parent_id)),
        ("group", plain(task.group_id)),
        ("tags", plain(", ".join(task.tags or ()))),
        ("eta", moment(task.eta)),
        ("expires", moment(task.expires)),
        ("submitted", moment(task.submitted_at)),
        ("received", moment(task.received_at)),
        ("started", moment(task.started_at)),
        ("finished", moment(task.finished_at)),
        ("progress", how_far(task)),
        ("runtime", runtime(task)),
        ("result", plain(task.result, WIDE)),
        ("exception", plain(task.exception, WIDE)),
        ("known", f"from {task.source}, as of {moment(task.as_of)}"),
    ]


def _row(run: AttemptImage) -> tuple[str, ...]:
    return (
        str(run.attempt),
        state(run.state, 0),
        plain(run.worker),
        str(run.pid or ""),
        moment(run.started_at),
        moment(run.finished_at),
        f"{run.runtime:.3f} s" if run.runtime is not None else "",
        plain(run.exception),
    )
