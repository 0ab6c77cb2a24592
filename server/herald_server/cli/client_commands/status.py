"""`herald status`."""

from __future__ import annotations

import click

from herald_client import Herald, TaskDetail
from herald_core.model.tasks import views
from herald_core.model.tasks.views import AttemptView
from herald_server.cli.client_options import json_option, run_with_client
from herald_server.cli.formatting import (
    clean_line,
    cut_first_line,
    format_moment,
    format_progress,
    format_runtime,
    format_state,
    format_table,
    to_json_line,
)

MAX_VALUE_CHARS = 1_000
COLUMNS = ("ATTEMPT", "STATE", "WORKER", "PID", "STARTED", "FINISHED", "RUNTIME", "")

UNREPORTED_MESSAGES = {
    views.UNKNOWN: "nothing was ever heard of the task {}; is the id right?",
    views.EXPIRED: "the record of the task {} ran out; it was known once",
}


@click.command()
@click.argument("task_id", metavar="ID")
@json_option
@run_with_client
async def status(herald: Herald, task_id: str, as_json: bool) -> int:
    """Show the task ID in full.

    The exit code is 1 if the task is unknown.
    """
    task = await herald.task(task_id)
    missing = UNREPORTED_MESSAGES.get(task.state)
    if as_json:
        click.echo(to_json_line(task))
    elif missing:
        click.echo("Error: " + missing.format(cut_first_line(task_id)), err=True)
    else:
        for text in format_page(task):
            click.echo(text)
    return 1 if missing else 0


def format_page(task: TaskDetail) -> list[str]:
    """Return the details of a task, as lines."""
    lines = [f"{format_state(task.state, 0)}  {cut_first_line(task.name) or '?'}"]
    lines += [f"  {key:<10}{text}" for key, text in _list_facts(task) if text]
    if task.conflict:
        lines.append("  what was heard of it contradicts itself")
    if task.attempts:
        lines += ["", *format_table(COLUMNS, map(_format_row, task.attempts))]
    if task.traceback:
        lines += [
            "",
            *(
                clean_line(line, MAX_VALUE_CHARS)
                for line in task.traceback.splitlines()
            ),
        ]
    return lines


def _list_facts(task: TaskDetail) -> list[tuple[str, str]]:
    pid = f" (pid {task.pid})" if task.pid else ""
    return [
        ("id", cut_first_line(task.id)),
        ("args", cut_first_line(task.args, MAX_VALUE_CHARS)),
        ("kwargs", cut_first_line(task.kwargs, MAX_VALUE_CHARS)),
        ("queue", cut_first_line(task.queue)),
        ("worker", cut_first_line((task.worker or "") + pid)),
        ("root", cut_first_line(task.root_id) if task.root_id != task.id else ""),
        ("parent", cut_first_line(task.parent_id)),
        ("group", cut_first_line(task.group_id)),
        ("tags", cut_first_line(", ".join(task.tags or ()))),
        ("eta", format_moment(task.eta)),
        ("expires", format_moment(task.expires)),
        ("submitted", format_moment(task.submitted_at)),
        ("received", format_moment(task.received_at)),
        ("started", format_moment(task.started_at)),
        ("finished", format_moment(task.finished_at)),
        ("progress", format_progress(task)),
        ("runtime", format_runtime(task)),
        ("result", cut_first_line(task.result, MAX_VALUE_CHARS)),
        ("exception", cut_first_line(task.exception, MAX_VALUE_CHARS)),
        ("known", f"from {task.source}, as of {format_moment(task.as_of)}"),
    ]


def _format_row(run: AttemptView) -> tuple[str, ...]:
    return (
        str(run.attempt),
        format_state(run.state, 0),
        cut_first_line(run.worker),
        str(run.pid or ""),
        format_moment(run.started_at),
        format_moment(run.finished_at),
        f"{run.runtime:.3f} s" if run.runtime is not None else "",
        cut_first_line(run.exception),
    )
