"""`herald record`: write the raw events of a broker to a file."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import click

from herald_core.errors import InvalidInput
from herald_server.cli.server_options import (
    DURATION_OPTION,
    LOG_OPTIONS,
    SOURCE_OPTIONS,
    combine_options,
)
from herald_server.wiring.process_logs import log_to_stderr
from herald_server.wiring.settings import make_settings

COUNT_OPTION = click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after this number of events.",
)
RAW_OPTION = click.option(
    "--raw", is_flag=True, help="Do not redact passwords and tokens."
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@combine_options(SOURCE_OPTIONS, DURATION_OPTION, COUNT_OPTION, RAW_OPTION, LOG_OPTIONS)
def record(
    file: Path,
    seconds: float | None,
    count: int | None,
    raw: bool,
    log_level: str,
    **given: Any,
) -> None:
    """Write Celery's raw events to FILE, one message a line, as JSON.

    FILE must not exist; - is standard output. Ctrl-C ends the recording. Secrets
    are redacted unless --raw is given. `herald replay` reads such a file.
    """
    from herald_core.model.events.redaction import Redactor
    from herald_monitor.celery_client.broker.connection import get_broker_name
    from herald_monitor.ingest.recordings.capture import EventCapture
    from herald_monitor.ingest.recordings.format import RecordedMessage, encode_line
    from herald_monitor.runtime.process import load_celery_app

    log_to_stderr(log_level)
    settings = make_settings(**given)
    redact = None if raw else Redactor(settings.redact)
    app = load_celery_app(settings)
    with open_output(file) as out:

        def write(message: RecordedMessage) -> None:
            out.write(encode_line(message, redact))
            out.flush()

        tape = EventCapture(app, write)
        with stop_on_signals(tape):
            what = f"recording events of {get_broker_name(app)}"
            click.echo(f"{what}; Ctrl-C ends it", err=True)
            tape.run(seconds, count)
    left_out = f", {tape.dropped} messages left out" if tape.dropped else ""
    click.echo(
        f"recorded {tape.events} events in {tape.messages} messages{left_out}", err=True
    )


@contextlib.contextmanager
def open_output(file: Path) -> Generator[BinaryIO]:
    """Open a new file, or standard output. Raises `InvalidInput`."""
    if str(file) == "-":
        yield sys.stdout.buffer
        return
    try:
        out = file.open("xb")
    except FileExistsError:
        raise InvalidInput(
            f"{file} exists already; name another file, or remove it first"
        ) from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written ({error.strerror})") from error
    with out:
        yield out


@contextlib.contextmanager
def stop_on_signals(tape: Any) -> Generator[None]:
    """Stop the recording cleanly on SIGINT and SIGTERM."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        tape.stop()

    ends = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in ends}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
