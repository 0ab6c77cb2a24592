"""`herald catalog`: generate a herald.toml from the tasks of an app."""

from __future__ import annotations

from pathlib import Path

import click

from herald_core.errors import InvalidInput


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

    Parameters are read from signatures and type hints. Review the file, delete the
    tasks that must not be started, and pass it to the server with --catalog.
    """
    from herald_monitor.celery_client.app.celery_app import load_app
    from herald_server.catalog.signatures import list_types, load_tasks
    from herald_server.catalog.toml_writer import to_toml

    if not app:
        raise InvalidInput(
            "no app is known: parameters come only from the project's code; give -A "
            "PROJECT (HERALD_APP)"
        )
    loaded = load_app(app)
    load_tasks(loaded)
    found = list_types(loaded)
    if not found:
        raise InvalidInput(
            f"-A {app} registers no task; name the module that imports them, or set "
            "include in its configuration"
        )
    _write_file(to_toml(found), output)
    click.echo(f"herald: {len(found)} tasks of {app}", err=True)


def _write_file(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(
            f"{output} exists: name another file, or remove it"
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"cannot write {output}: {error.strerror or error}"
        ) from None
