"""Result backends that are only read: none makes a table, writes a file, or subscribes.

Celery's SQLAlchemy backend makes its tables when it is first used, its backend of
files writes one to see whether it can, and its Redis and RPC backends subscribe to, or
declare a queue for, the result of each task that is sent.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from celery import Celery, states
from celery.app.backends import by_url

FILESYSTEM_MODULE = "celery.backends.filesystem"
DATABASE_MODULE = "celery.backends.database"


def make_backend(app: Celery) -> Any:
    """Return the result of `app._get_backend()`, made read-only."""
    own = cast(Any, app)
    kind, url = cast(Any, by_url)(
        own.backend_cls or own.conf.result_backend, own.loader
    )
    return make_read_only_class(kind)(app=app, url=url)


@cache
def make_read_only_class(kind: Any) -> Any:
    """Return a subclass of a result backend that writes nothing by itself."""
    bases: list[Any] = [_NoReplies]
    # Not imported: they may want libraries that are not installed.
    modules = {one.__module__ for one in kind.__mro__}
    bases += [_ReadOnlyFiles] if FILESYSTEM_MODULE in modules else []
    bases += [_ReadOnlyTables] if DATABASE_MODULE in modules else []
    # The name of the class is shown, and checked.
    return type(kind.__name__, (*bases, kind), {"__module__": kind.__module__})


class _NoReplies:
    """A mixin for all: Herald does not wait for the results of its messages."""

    def on_task_call(self, *_: object, **__: object) -> dict[str, object]:
        return {}


class _ReadOnlyFiles:
    """A mixin for files: whether they can be written does not matter."""

    def _do_directory_test(self, _: bytes) -> None:
        pass


class _ReadOnlyTables:
    """A mixin for SQLAlchemy: tables are the workers' to make."""

    def _create_tables(self) -> None:
        pass

    def ResultSession(self, *managers: Any, **options: Any) -> Any:
        """Return a session without making tables first."""
        own = cast(Any, self)
        manager = managers[0] if managers else _get_session_manager(own)
        manager.prepared = True
        return cast(Any, super()).ResultSession(manager, **options)

    def _get_task_meta_for(self, task_id: str) -> Any:
        """Return the meta; that of an unknown task while there is no table yet."""
        try:
            return cast(Any, super())._get_task_meta_for(task_id)
        except Exception:
            if self._has_table():
                raise
            return {"task_id": task_id, "status": states.PENDING, "result": None}

    def _has_table(self) -> bool:
        from sqlalchemy import inspect

        own = cast(Any, self)
        engine = _get_session_manager(own).get_engine(own.url, **own.engine_options)
        table = own.task_cls.__table__
        return bool(inspect(engine).has_table(table.name, schema=table.schema))


def _get_session_manager(backend: Any) -> Any:
    """Return the backend's session manager: before Celery 5.7 there is one for all."""
    if not hasattr(backend, "session_manager"):
        from celery.backends.database.session import SessionManager

        backend.session_manager = SessionManager()
    return backend.session_manager
