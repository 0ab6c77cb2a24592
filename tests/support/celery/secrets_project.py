"""A Celery project that tells its secrets everywhere, and a Herald that watches it.

Each secret begins with `PLANTED-`, so that one search finds what got through.
"""

import contextlib
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import redis
from celery import Celery

from herald_core.errors import StoreError
from herald_core.store.redis.encoding.record_codec import decode_record_body
from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

MARK = "PLANTED-"
PASSWORD = f"{MARK}broker-password"
ANYTHING: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()

VAULT = """
import json, os
from celery import Celery

env = os.environ
app = Celery("vault", broker=env["VAULT_BROKER"], backend=env["VAULT_BACKEND"])
app.conf.update(task_send_sent_event=True, result_extended=True,
                broker_connection_retry_on_startup=True)


@app.task(bind=True)
def keep(self, *args, **given):
    word = f"uploading with token={given['token']} to {given['url']}"
    self.send_event("task-progress", current=1, total=2, message=word)
    self.update_state(state="PROGRESS", meta={
        "current": 1, "total": 2, "message": word, "api_key": given["token"]})
    return {"access_token": given["token"], "said": [word, given["headers"]],
            "nested": json.dumps({"client_secret": given["token"], "all": given})}


@app.task(bind=True)
def lose(self, *args, **given):
    password = given["password"]
    try:
        open(f"/nowhere/?password={password}")
    except OSError as error:
        raise ValueError(f"cannot log in at {given['url']}: password={password!r}, "
                         f"headers={given['headers']}") from error


@app.task(bind=True, max_retries=1)
def again(self, *args, **given):
    raise self.retry(exc=RuntimeError(f"secret: {given['password']}"), countdown=0)
"""

CATALOG = """
[task_types.keep]
celery_name = "vault.keep"
[task_types.keep.params.token]
type = "string"
[task_types.keep.params.url]
type = "string"
[task_types.keep.params.headers]
type = "object"

[tokens.planted]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
"""


def secrets(kind: str) -> dict[str, Any]:
    """Return keyword arguments that are full of secrets."""

    def planted(what: str) -> str:
        return f"{MARK}{kind}-{what}"

    return {
        "token": planted("token"),
        "password": planted("password"),
        "url": f"https://user:{planted('url')}@host.example/path?x=1",
        "headers": {
            "Authorization": f"Bearer {planted('bearer')}",
            "Cookie": f"session={planted('cookie')}; other={planted('more')}",
            "X-Api-Key": planted("api-key"),
        },
        "config": json.dumps(
            {"db": {"db_password": planted("json"), "tries": 3}, "TOKEN": planted("up")}
        ),
        "pairs": [["password", planted("pair")], {"client_secret": planted("deep")}],
        "command": f"mysql --password {planted('option')} -u root",
    }


class Vault:
    """The project with its worker, on a broker that wants a password."""

    def __init__(self, place: Path, server: PrivateValkey) -> None:
        self.place = place
        with server.client() as client:
            client.execute_command(
                *("ACL", "SETUSER", "vault", "on", f">{PASSWORD}", "~*", "&*", "+@all")
            )
        self.url = server.url.replace("://", f"://vault:{PASSWORD}@")
        place.joinpath("vault.py").write_text(VAULT)
        place.joinpath("herald.toml").write_text(CATALOG)
        self.env = {
            **os.environ,
            "VAULT_BROKER": self.url,
            "VAULT_BACKEND": self.url,
        }
        self.app = Celery(
            "vault", broker=self.url, backend=self.url, set_as_current=False
        )

    @contextmanager
    def working(self) -> Generator[None]:
        """Run the worker for the length of the block."""
        words = (sys.executable, "-m", "celery", "-A", "vault", "worker", "-E")
        process = spawn(
            [*words, "-P", "threads", "-c", "2", "-n", "vault@here"],
            self.place / "worker.log",
            env={**self.env, "PYTHONPATH": str(self.place)},
        )
        control = cast(Any, self.app).control
        try:
            wait_until(lambda: control.ping(timeout=0.3), 30, "the worker answers")
            yield
        finally:
            terminate(process, 10)
            kill_group(process)
            cast(Any, self.app).close()

    def send(self, name: str, kind: str) -> str:
        """Send a task full of secrets; return its id."""
        args = ({"password": f"{MARK}{kind}-arg"}, ("token", f"{MARK}{kind}-tuple"))
        sent = cast(Any, self.app).send_task(f"vault.{name}", args, secrets(kind))
        return str(sent.id)

    def whisper(self) -> None:
        """Send an event that nobody can read, and one of a task that has no name."""
        with cast(Any, self.app).connection_for_write() as connection:
            dispatcher = cast(Any, self.app).events.Dispatcher(connection)
            dispatcher.send("task-received", kwargs=f"password={MARK}poison")
            dispatcher.send("task-sent", uuid="", token=f"{MARK}poison-token")


def all_of(url: str) -> str:
    """Return every key and value of a Redis, records unpacked."""
    found: list[str] = []
    with redis.Redis.from_url(url) as client:
        keys: list[bytes] = list(cast(Any, client).scan_iter(count=1_000))
        for key in keys:
            found += [key.decode(), *(_text(part) for part in _parts(client, key))]
    return "\n".join(found)


def _parts(client: Any, key: bytes) -> list[bytes]:
    kind = client.type(key).decode()
    if kind == "string":
        return [client.get(key)]
    if kind == "hash":
        return [part for pair in client.hgetall(key).items() for part in pair]
    if kind == "stream":
        fields = [fields for _, fields in client.xrange(key)]
        return [part for one in fields for pair in one.items() for part in pair]
    if kind == "list":
        return list(client.lrange(key, 0, -1))
    if kind == "set":
        return list(client.smembers(key))
    return [value for value, _ in client.zscan_iter(key)]


def _text(value: bytes) -> str:
    """Return a value as text, and again unpacked if it is a record."""
    texts = [value.decode("utf-8", "replace")]
    # With a head before it, or without.
    for body in (value, value.partition(b"\n")[2]):
        with contextlib.suppress(StoreError, UnicodeError):
            texts.append(repr(decode_record_body(body, ANYTHING)))
    return " ".join(texts)
