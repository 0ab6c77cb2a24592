"""`herald catalog`: a herald.toml from the tasks of an app."""

from __future__ import annotations

from pathlib import Path

import click

from herald_monitor.errors import BadInput


@click.command()
@click.option(
    "-A",
    "--app",
    "app",
    envvar="HERALD_APP",
    show_envvar=True,
    help="Your Celery app, as for celery -A.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A new file to write to, instead of standard output.",
)
def catalog(app: str | None, output: Path | None) -> None:
    """Write a herald.toml with the tasks of your app and their parameters.

    Parameters are read from signatures and type hints. Read the file, delete what
    nobody shall start, and give it to the server with --catalog.
    """
    from herald_monitor.celery_app import load_app
    from herald_server.catalog_text import to_toml
    from herald_server.signatures import load_tasks, types_of

    if not app:
        raise BadInput(
            "no app is known: only the project's code tells parameters; give "
            "-A PROJECT (HERALD_APP)"
        )
    loaded = load_app(app)
    load_tasks(loaded)
    found = types_of(loaded)
    if not found:
        raise BadInput(
            f"-A {app} registers no task; name the module that imports them, or set "
            "include in its configuration"
        )
    _write(to_toml(found), output)
    click.echo(f"herald: {len(found)} tasks of {app}", err=True)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadInput(f"{output} exists: name another file, or remove it") from None
    except OSError as error:
        raise BadInput(f"cannot write {output}: {error.strerror or error}") from None
