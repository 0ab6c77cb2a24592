"""The one place that makes a Celery app: from `-A`, or from two URLs."""

import os
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from celery import Celery
from celery.app.backends import by_url
from celery.app.utils import find_app
from kombu.transport import get_transport_cls

from herald_monitor.broker_link import BrokerConnection
from herald_monitor.celery_urls import without_passwords
from herald_monitor.errors import HeraldError
from herald_monitor.project_modules import allow_database, import_tasks
from herald_monitor.read_only_backends import make_backend

# An app that only reads must never hang on a broker, nor unpickle anything.
READ_ONLY: Mapping[str, object] = {
    "accept_content": ["json"],
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 4.0,
    "broker_pool_limit": 4,
    # Who sends is told at once that the broker is away; the receiver has a
    # patience of its own.
    "broker_transport_options": {"max_retries": 0},
    "redis_socket_timeout": 10.0,
    "redis_socket_connect_timeout": 4.0,
    "worker_hijack_root_logger": False,
}


NONE: Mapping[str, object] = {}
_given: WeakKeyDictionary[Celery, frozenset[str]] = WeakKeyDictionary()

BY_SOCKET = "redis+socket:///PATH (?virtual_host=N for a database)"
BY_SENTINEL = (
    'sentinel://HOST:26379;sentinel://HOST:26379, and "master_name" in'
    " broker_transport_options or result_backend_transport_options of the project (-A)"
)
INSTEAD: Mapping[str, str] = {
    "unix": BY_SOCKET,
    "socket": BY_SOCKET,
    "redis+unix": BY_SOCKET,
    "redis+sentinel": BY_SENTINEL,
    "redis-sentinel": BY_SENTINEL,
    "valkey": "redis://",
    "valkeys": "rediss://",
    "redis+tls": "rediss://",
    "redis+ssl": "rediss://",
}
"""Schemes of other libraries → what Celery calls the same."""


class AppError(HeraldError):
    """A Celery app that cannot be had."""


def load_app(name: str, directory: Path | None = None) -> Celery:
    """Load the app that `celery -A NAME` would load, seen from `directory`.

    `directory` defaults to the working directory and stays on `sys.path`, so
    that modules which the project imports later are found as well. Its task modules
    are imported too, as a worker does; one that cannot be is told in the log.
    Raises `AppError`.
    """
    _put_on_path(directory or Path.cwd())
    with allow_database():
        found = _import_app(name)
        if not _is_app(found):
            raise AppError(
                f"-A {name} leads to a {type(found).__name__}, not to a Celery app;"
                " name it as module:attribute."
            )
        import_tasks(found)
    return restrict(found)


def app_for(
    broker: str,
    backend: str | None = None,
    *,
    transport: Mapping[str, object] = NONE,
    results: Mapping[str, object] = NONE,
    **conf: object,
) -> Celery:
    """Make an app without tasks that reads from `broker` and `backend` (URLs).

    `transport` are transport options of the broker, `results` of the result backend;
    further keywords are Celery settings, such as `event_exchange`. Raises `AppError`
    for URLs that Celery cannot use; connects to nothing.
    """
    check_broker(broker)
    if backend:
        check_backend(backend)
    # No fixups: this app must not start Django because of a variable.
    app = Celery(
        "herald", broker=broker, backend=backend, set_as_current=False, fixups=[]
    )
    # The read and write URLs win over $CELERY_BROKER_URL, which must not
    # overrule what Herald was told.
    urls = {"broker_read_url": broker, "broker_write_url": broker}
    options = cast("dict[str, object]", READ_ONLY["broker_transport_options"])
    told: dict[str, object] = {
        "broker_transport_options": {**options, **transport},
        "result_backend_transport_options": dict(results),
    }
    app.conf.update({**READ_ONLY, **urls, **told, **conf})
    _given[app] = frozenset([*transport, *conf])
    return restrict(app)


def given_settings(app: Celery) -> frozenset[str] | None:
    """Return what a person gave for an app made from URLs; None for another app."""
    return _given.get(app)


def restrict(app: Celery) -> Celery:
    """Let what `app` opens from here on change nothing that was not ordered.

    Its connections to the broker restore no messages, its result backend is only
    read, and what it sends asks for no reply.
    """
    own = cast(Any, app)
    own.amqp.Connection = BrokerConnection
    # Of other connections, that were opened as the project was imported.
    own._pool = own.amqp._producer_pool = None
    own._get_backend = partial(make_backend, app)
    own._backend_cache = None
    own._local = _NoReplies()
    return app


class _NoReplies(threading.local):
    """What an app keeps of each thread. Nobody here reads a queue of replies.

    With the backend rpc:// a worker would fill it, and it would lie there.
    """

    oid = ""


def check_broker(url: str) -> None:
    """Raise `AppError` if Celery has no transport for `url`, or one of several.

    Those of several brokers, of which one is tried after another, are parted by `;`.
    """
    for one in url.split(";"):
        _check_broker(one)


def _check_broker(url: str) -> None:
    scheme = _scheme(url, "broker", "amqp:// or redis://")
    try:
        # As in redis+socket:// and sqla+postgresql://.
        cast(Any, get_transport_cls)(scheme.partition("+")[0])
    except Exception as error:
        raise AppError(
            f"The broker URL {_shown(url)} has the scheme {scheme}://, which Celery"
            f" cannot use here ({_first_line(error)}); use amqp:// or redis://,"
            " or install that transport."
        ) from error


def check_backend(url: str) -> None:
    """Raise `AppError` if Celery has no result backend for the URL `url`."""
    scheme = _scheme(url, "result backend", "redis:// or rpc://")
    try:
        by_url(url)
    except Exception as error:
        raise AppError(
            f"The result backend URL {_shown(url)} has the scheme {scheme}://, which"
            f" Celery cannot use here ({_first_line(error)}); use redis:// or rpc://,"
            " or install that backend."
        ) from error


def _is_app(found: object) -> TypeGuard[Celery]:
    return isinstance(found, Celery)


def _import_app(name: str) -> object:
    try:
        return cast(object, find_app(name))
    except ModuleNotFoundError as error:
        raise AppError(_not_found(name, error)) from error
    except AttributeError as error:
        raise AppError(
            f"-A {name}: there is no Celery app in it ({_first_line(error)});"
            " name it as module:attribute."
        ) from error
    except (Exception, SystemExit) as error:
        raise AppError(
            f"-A {name} cannot be imported: {type(error).__name__}:"
            f" {_first_line(error)}; mend the module, or give --broker and --backend."
        ) from error


def _not_found(name: str, error: ModuleNotFoundError) -> str:
    module = name.partition(":")[0]
    if error.name and module.split(".")[0] != error.name.split(".")[0]:
        return (
            f"-A {name} imports {error.name}, which is not installed;"
            " install it in the environment in which Herald runs."
        )
    return (
        f"-A {name}: there is no module {error.name or module} in {Path.cwd()} or on"
        " the Python path; change to the project's directory or mend the name."
    )


def _put_on_path(directory: Path) -> None:
    entry = os.fspath(directory.resolve())
    if entry not in sys.path:
        sys.path.insert(0, entry)


def _scheme(url: str, what: str, examples: str) -> str:
    scheme = urlsplit(url).scheme if "://" in url else ""
    if not scheme:
        raise AppError(
            f"The {what} URL {_shown(url)!r} has no scheme;"
            f" it must begin with {examples}."
        )
    if scheme in INSTEAD:
        raise AppError(
            f"The {what} URL {_shown(url)} has the scheme {scheme}://, which Celery"
            f" does not know; write {INSTEAD[scheme]}."
        )
    return scheme


def _shown(url: str) -> str:
    return without_passwords(url)


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else str(error)
    return text.strip().split("\n", 1)[0] or type(error).__name__
