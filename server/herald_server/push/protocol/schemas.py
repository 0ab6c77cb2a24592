"""Every message of `herald.v1` as a type: what the AsyncAPI document is made from.

Nothing is encoded with these: what is sent is joined from bytes that lie ready.
Nothing is decoded with them either: msgspec drops keys of a filter that it does not
know, and names the first fault by its path, where `messages` says what to send.
Tests hold real frames to them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from herald_core.model.filters import MAX_LENGTH, MAX_VALUES
from herald_core.model.gaps import Gap
from herald_server.push.protocol.limits import Limits
from herald_server.push.protocol.messages import MAX_FIELDS, MAX_SUB_ID

SubId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_SUB_ID,
        description="Names a subscription of this connection.",
    ),
]
CursorText = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\d+-\d+$",
        description="Where in the changes everything before was told. Opaque; "
        "hand it back as `since`.",
    ),
]
Value = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LENGTH)]
Values = (
    Value | Annotated[list[Value], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]
)
Milliseconds = Annotated[int, msgspec.Meta(ge=0)]
Lag = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        description="How old what is shown may be, in ms: since the newest entry of "
        "the log was heard or, if longer, how long events wait to be stored.",
    ),
]


class FilterKeys(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which tasks. Lists are OR, keys are AND; `*` and `?` are wild in name, worker
    and queue. Empty matches everything."""

    ids: Values | None = None
    name: Values | None = None
    state: Values | None = None
    worker: Values | None = None
    queue: Values | None = None
    root: Values | None = None
    parent: Values | None = None
    group: Values | None = None
    tag: Values | None = None
    failure: Values | None = None


Topic = Literal[
    "tasks",
    "workers",
    "queues",
    "counts",
    "failures",
    "schedules",
    "orders",
    "marks",
    "alerts",
]
"""What can be watched."""


class Subscribe(msgspec.Struct, tag="subscribe", kw_only=True, omit_defaults=True):
    """A wish to be told. One with the id of another replaces it."""

    id: SubId
    filter: FilterKeys | None = None
    since: CursorText | None = None
    topic: Topic | None = None
    mode: Literal["changes", "events"] | None = None
    fields: Annotated[list[str], msgspec.Meta(max_length=MAX_FIELDS)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Unsubscribe(msgspec.Struct, tag="unsubscribe"):
    """A wish not to be told any more."""

    id: SubId


class Auth(msgspec.Struct, tag="auth"):
    """A token, given or renewed."""

    token: str


class Ping(msgspec.Struct, tag="ping"):
    """A question whether anybody is there."""


class Hello(msgspec.Struct, tag="hello"):
    """The first frame. `heartbeat` is in seconds."""

    v: Literal[1]
    node: str
    heartbeat: Annotated[int, msgspec.Meta(ge=0)]
    tick_ms: Milliseconds
    limits: Limits


class Data(msgspec.Struct, tag="data", kw_only=True, omit_defaults=True):
    """What is there, or what changed. With `reset` all told before is void, the
    cursor too. No id stands twice in a frame."""

    id: SubId
    put: list[dict[str, Any]]
    del_: list[str] = msgspec.field(default_factory=list[str], name="del")
    cursor: CursorText | None = None
    reset: Literal["new", "trimmed", "epoch", "slow", "filter"] | None = None


class Bookmark(msgspec.Struct, tag="cursor", kw_only=True, omit_defaults=True):
    """A fresh cursor for all subscriptions of the connection, and a heartbeat."""

    cursor: CursorText
    lag_ms: Lag | None = None


class Status(msgspec.Struct, tag="status", kw_only=True, omit_defaults=True):
    """Whether what is shown can be trusted. `problem` says why not."""

    stale: bool
    gaps: list[Gap]
    lag_ms: Lag | None = None
    problem: str | None = None


class Done(msgspec.Struct, tag="done"):
    """All ids of a subscription are final; it has ended."""

    id: SubId


class Error(msgspec.Struct, tag="error", kw_only=True, omit_defaults=True):
    """What could not be done, and what to do; `retry`: the same may do later."""

    code: str
    message: str
    retry: bool
    id: SubId | None = None
    close: int | None = None


class Bye(msgspec.Struct, tag="bye"):
    """The server restarts; come back after `reconnect_in_ms`."""

    code: int
    reconnect_in_ms: Milliseconds


class Pong(msgspec.Struct, tag="pong"):
    """Somebody is there."""


class Count(msgspec.Struct):
    """How many tasks are in a state."""

    id: str
    count: Annotated[int, msgspec.Meta(ge=0)]


CLIENT_MESSAGES: tuple[type[msgspec.Struct], ...] = (Subscribe, Unsubscribe, Auth, Ping)
"""Messages that clients send."""

SERVER_MESSAGES: tuple[type[msgspec.Struct], ...] = (
    *(Hello, Data, Bookmark, Status, Done, Error, Bye, Pong),
)
"""Messages that the server sends."""
