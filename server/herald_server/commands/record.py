"""`herald record`: the raw events of a broker, in a file."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import click

from herald_monitor.errors import BadInput
from herald_server.commands.options import (
    FOR,
    LOGS,
    SOURCE,
    log_to_stderr,
    options,
    settings_of,
)

COUNT = click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop by itself after so many events.",
)
RAW = click.option("--raw", is_flag=True, help="Leave passwords and tokens in.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@options(SOURCE, FOR, COUNT, RAW, LOGS)
def record(
    file: Path,
    seconds: float | None,
    count: int | None,
    raw: bool,
    log_level: str,
    **given: Any,
) -> None:
    """Write Celery's raw events to FILE, one message a line, as JSON.

    FILE must not exist yet; - is standard output. Ends with Ctrl-C. Secrets are
    cut out unless --raw is given. `herald replay` reads such a file.
    """
    from herald_monitor.consumers import broker_name
    from herald_monitor.daemon import celery_of
    from herald_monitor.model.redaction import Redactor
    from herald_monitor.recording import Message, write_line
    from herald_monitor.tape import Tape

    log_to_stderr(log_level)
    settings = settings_of(**given)
    redact = None if raw else Redactor(settings.redact)
    app = celery_of(settings)
    with opened(file) as out:

        def write(message: Message) -> None:
            out.write(write_line(message, redact))
            out.flush()

        tape = Tape(app, write)
        with stopping(tape):
            what = f"recording events of {broker_name(app)}"
            click.echo(f"{what}; Ctrl-C ends it", err=True)
            tape.run(seconds, count)
    left_out = f", {tape.left_out} messages left out" if tape.left_out else ""
    click.echo(
        f"recorded {tape.events} events in {tape.messages} messages{left_out}", err=True
    )


@contextlib.contextmanager
def opened(file: Path) -> Generator[BinaryIO]:
    """Open a new file, or standard output. Raises `BadInput`."""
    if str(file) == "-":
        yield sys.stdout.buffer
        return
    try:
        out = file.open("xb")
    except FileExistsError:
        raise BadInput(
            f"{file} exists already; name another file, or remove it first"
        ) from None
    except OSError as error:
        raise BadInput(f"{file} cannot be written ({error.strerror})") from error
    with out:
        yield out


@contextlib.contextmanager
def stopping(tape: Any) -> Generator[None]:
    """Let SIGINT and SIGTERM end the recording in good order."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        tape.stop()

    ends = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in ends}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
