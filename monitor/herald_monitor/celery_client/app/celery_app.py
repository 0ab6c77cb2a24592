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

from herald_core.errors import HeraldError
from herald_monitor.celery_client.app.project_modules import (
    allow_database,
    import_tasks,
)
from herald_monitor.celery_client.app.read_only_backend import make_backend
from herald_monitor.celery_client.broker.passive import BrokerConnection
from herald_monitor.celery_client.broker.urls import mask_passwords

# An app that only reads must never hang on a broker, nor unpickle anything.
READ_ONLY: Mapping[str, object] = {
    "accept_content": ["json"],
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 4.0,
    "broker_pool_limit": 4,
    # A sender fails at once if the broker is away; the receiver has its own timeout.
    "broker_transport_options": {"max_retries": 0},
    "redis_socket_timeout": 10.0,
    "redis_socket_connect_timeout": 4.0,
    "worker_hijack_root_logger": False,
}


NO_OPTIONS: Mapping[str, object] = {}
_given_settings: WeakKeyDictionary[Celery, frozenset[str]] = WeakKeyDictionary()

SOCKET_URL_HELP = "redis+socket:///PATH (?virtual_host=N for a database)"
SENTINEL_URL_HELP = (
    'sentinel://HOST:26379;sentinel://HOST:26379, and "master_name" in'
    " broker_transport_options or result_backend_transport_options of the project (-A)"
)
URL_SUGGESTIONS: Mapping[str, str] = {
    "unix": SOCKET_URL_HELP,
    "socket": SOCKET_URL_HELP,
    "redis+unix": SOCKET_URL_HELP,
    "redis+sentinel": SENTINEL_URL_HELP,
    "redis-sentinel": SENTINEL_URL_HELP,
    "valkey": "redis://",
    "valkeys": "rediss://",
    "redis+tls": "rediss://",
    "redis+ssl": "rediss://",
}
"""Schemes of other libraries → what Celery calls the same."""


class AppLoadError(HeraldError):
    """A Celery app that cannot be had."""


def load_app(name: str, directory: Path | None = None) -> Celery:
    """Load the app that `celery -A NAME` would load, seen from `directory`.

    `directory` defaults to the working directory and stays on `sys.path`, so that later
    imports of the project work as well. Its task modules are imported too, as a worker
    does; import errors are logged. Raises `AppLoadError`.
    """
    _put_on_path(directory or Path.cwd())
    with allow_database():
        found = _import_app(name)
        if not _is_app(found):
            raise AppLoadError(
                f"-A {name} leads to a {type(found).__name__}, not to a Celery app;"
                " name it as module:attribute."
            )
        import_tasks(found)
    return restrict(found)


def make_app(
    broker: str,
    backend: str | None = None,
    *,
    transport: Mapping[str, object] = NO_OPTIONS,
    results: Mapping[str, object] = NO_OPTIONS,
    **conf: object,
) -> Celery:
    """Make an app without tasks that reads from `broker` and `backend` (URLs).

    `transport` are transport options of the broker, `results` of the result backend;
    further keywords are Celery settings, such as `event_exchange`. Raises
    `AppLoadError` for URLs that Celery cannot use; connects to nothing.
    """
    check_broker(broker)
    if backend:
        check_backend(backend)
    # No fixups: this app must not start Django because of a variable.
    app = Celery(
        "herald", broker=broker, backend=backend, set_as_current=False, fixups=[]
    )
    # The read and write URLs take precedence over $CELERY_BROKER_URL, which must not
    # overrule Herald's own options.
    urls = {"broker_read_url": broker, "broker_write_url": broker}
    options = cast("dict[str, object]", READ_ONLY["broker_transport_options"])
    settings: dict[str, object] = {
        "broker_transport_options": {**options, **transport},
        "result_backend_transport_options": dict(results),
    }
    app.conf.update({**READ_ONLY, **urls, **settings, **conf})
    _given_settings[app] = frozenset([*transport, *conf])
    return restrict(app)


def get_given_settings(app: Celery) -> frozenset[str] | None:
    """Return the explicit settings of an app made from URLs; None for another app."""
    return _given_settings.get(app)


def restrict(app: Celery) -> Celery:
    """Restrict new connections of `app` to explicit changes.

    Its connections to the broker restore no messages, its result backend is read-only,
    and its control messages ask for no reply.
    """
    own = cast(Any, app)
    own.amqp.Connection = BrokerConnection
    # Of other connections, that were opened as the project was imported.
    own._pool = own.amqp._producer_pool = None
    own._get_backend = partial(make_backend, app)
    own._backend_cache = None
    own._local = _ThreadState()
    return app


class _ThreadState(threading.local):
    """The thread state of an app. Herald reads no queue of replies.

    With the backend rpc:// a worker would fill it, and its messages would stay there.
    """

    oid = ""


def check_broker(url: str) -> None:
    """Raise `AppLoadError` if Celery has no transport for `url`, or one of several.

    Those of several brokers, of which one is tried after another, are parted by `;`.
    """
    for one in url.split(";"):
        _check_broker(one)


def _check_broker(url: str) -> None:
    scheme = _describe_scheme(url, "broker", "amqp:// or redis://")
    try:
        # As in redis+socket:// and sqla+postgresql://.
        cast(Any, get_transport_cls)(scheme.partition("+")[0])
    except Exception as error:
        raise AppLoadError(
            f"The broker URL {_mask_url(url)} has the scheme {scheme}://, which Celery"
            f" cannot use here ({_get_first_line(error)}); use amqp:// or redis://,"
            " or install that transport."
        ) from error


def check_backend(url: str) -> None:
    """Raise `AppLoadError` if Celery has no result backend for the URL `url`."""
    scheme = _describe_scheme(url, "result backend", "redis:// or rpc://")
    try:
        by_url(url)
    except Exception as error:
        raise AppLoadError(
            f"The result backend URL {_mask_url(url)} has the scheme {scheme}://, which"
            f" Celery cannot use here ({_get_first_line(error)}); use redis:// or rpc://,"
            " or install that backend."
        ) from error


def _is_app(found: object) -> TypeGuard[Celery]:
    return isinstance(found, Celery)


def _import_app(name: str) -> object:
    try:
        return cast(object, find_app(name))
    except ModuleNotFoundError as error:
        raise AppLoadError(_describe_missing_app(name, error)) from error
    except AttributeError as error:
        raise AppLoadError(
            f"-A {name}: there is no Celery app in it ({_get_first_line(error)});"
            " name it as module:attribute."
        ) from error
    except (Exception, SystemExit) as error:
        raise AppLoadError(
            f"-A {name} cannot be imported: {type(error).__name__}:"
            f" {_get_first_line(error)}; fix the module, or give --broker and"
            " --backend."
        ) from error


def _describe_missing_app(name: str, error: ModuleNotFoundError) -> str:
    module = name.partition(":")[0]
    if error.name and module.split(".")[0] != error.name.split(".")[0]:
        return (
            f"-A {name} imports {error.name}, which is not installed;"
            " install it in the environment in which Herald runs."
        )
    return (
        f"-A {name}: there is no module {error.name or module} in {Path.cwd()} or on"
        " the Python path; change to the project's directory or correct the name."
    )


def _put_on_path(directory: Path) -> None:
    entry = os.fspath(directory.resolve())
    if entry not in sys.path:
        sys.path.insert(0, entry)


def _describe_scheme(url: str, what: str, examples: str) -> str:
    scheme = urlsplit(url).scheme if "://" in url else ""
    if not scheme:
        raise AppLoadError(
            f"The {what} URL {_mask_url(url)!r} has no scheme;"
            f" it must begin with {examples}."
        )
    if scheme in URL_SUGGESTIONS:
        raise AppLoadError(
            f"The {what} URL {_mask_url(url)} has the scheme {scheme}://, which Celery"
            f" does not know; write {URL_SUGGESTIONS[scheme]}."
        )
    return scheme


def _mask_url(url: str) -> str:
    return mask_passwords(url)


def _get_first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else str(error)
    return text.strip().split("\n", 1)[0] or type(error).__name__
