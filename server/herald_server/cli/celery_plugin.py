"""`celery -A proj herald`: `herald up` for that app.

Celery imports this module at each of its commands, so it must cost nothing: the
options and all behind them are imported when this command is used.
"""

from __future__ import annotations

from typing import Any

import click


class LazyUpCommand(click.Command):
    """A command with the options of `herald up`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from herald_server.cli.extras import explain_missing

        try:
            from herald_server.cli.server_commands.up import up_options
        except ModuleNotFoundError as error:
            raise click.ClickException(explain_missing(error) or str(error)) from error

        @click.command()
        @up_options
        def options(**_: object) -> None:
            """Carry the options."""

        return [*options.params, *super().get_params(ctx)]


@click.command(
    cls=LazyUpCommand, short_help="Monitor and server of Herald for this app."
)
@click.pass_context
def herald(ctx: click.Context, /, **options: Any) -> None:
    """Run Herald for this app: monitor, server and, without --store, the store."""
    from herald_core.errors import HeraldError
    from herald_monitor.celery_client.app.project_modules import import_tasks
    from herald_server.cli.server_commands.up import run_up

    try:
        import_tasks(ctx.obj.app)
        run_up(ctx.obj.app, **options)
    except HeraldError as error:
        raise click.ClickException(str(error)) from error
