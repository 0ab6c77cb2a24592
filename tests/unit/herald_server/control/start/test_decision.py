"""Whatever way a task is started, one decision holds: scope, consent, checks, queue."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, cast

import pytest
from celery import Celery
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.errors import HeraldError
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.store.memory.store import MemoryStore
from herald_server.auth.identity import Identity, PermissionDenied
from herald_server.auth.request_context import enter_request
from herald_server.catalog.catalog import Catalog, Param, TaskType
from herald_server.control import registered_tasks
from herald_server.control.control import Control
from herald_server.control.queue_check import QueueValidator
from herald_server.control.start.consent import ConfirmationRequired
from herald_server.control.start.decision import (
    MAX_QUESTION,
    StartRequest,
    decide_start,
)
from herald_server.control.start.publisher import TaskSpec, make_pending_view
from herald_server.control.start.send_options import SendOptions
from herald_server.push.log.hub import Hub

TODAY = date(2026, 11, 22)
LEVELS = ("minor", "critical")
NAMES = ("t.crisis", "t.other", "shop.pay")
QUEUE = "decided"

numbers = itertools.count()


def _type(number: int, celery_name: str, scope: Any, confirm: bool, level: str) -> Any:
    params = (Param("level", "string", enum=(level,), required=True),)
    return TaskType(
        f"type{number}", celery_name, params=params, scope=scope, confirm=confirm
    )


types = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(("start", "admin")),
        st.booleans(),
        st.sampled_from(LEVELS),
    ),
    max_size=4,
).map(lambda rows: [_type(number, *row) for number, row in enumerate(rows)])
catalogs = st.builds(
    Catalog,
    types,
    st.lists(st.sampled_from(("t.*", "shop.*", "t.crisis", "*")), max_size=2),
)
identities = st.builds(
    Identity,
    st.just("somebody"),
    st.frozensets(st.sampled_from(("read", "start", "admin"))),
    task_filter=st.sampled_from(
        (None, Filter(name=("t.*",)), Filter(tag=("mine",)), Filter(queue=("q",)))
    ),
)
asked_for = st.sampled_from((*NAMES, "type0", "type1", "type2", "nope"))
given_params = st.sampled_from(
    ({}, {"level": "minor"}, {"level": "critical"}, {"other": 1})
)
given_options = st.builds(
    SendOptions,
    queue=st.sampled_from((None, None, "q", "unacked", "elsewhere")),
    tags=st.sampled_from(((), ("mine",))),
)


def _fits(kind: TaskType, kwargs: Mapping[str, object]) -> bool:
    try:
        return kind.check_params(kwargs, TODAY) == kwargs
    except HeraldError:
        return False


def _may_run(who: Identity, catalog: Catalog, order: Any, asked: str, way: str) -> bool:
    """Say whether the caller may have `order` run without anybody's consent."""
    if not who.has_scope("start") or not who.can_see(make_pending_view(order)):
        return False
    if order.options.queue not in (None, "q"):
        return False
    kinds = [kind for kind in catalog if kind.celery_name == order.name]
    if not kinds:
        allowed = any(
            order.name.startswith(glob.rstrip("*")) for glob in catalog.allowed_names
        )
        return allowed or (way == "retry" and who.has_scope("admin"))
    if order.args:
        # Nothing in the catalog checks what has no name.
        return who.has_scope("admin") and not any(kind.confirm for kind in kinds)
    fitting = [kind for kind in kinds if _fits(kind, order.kwargs)]
    if way != "retry" and asked.startswith("type"):
        fitting = [kind for kind in fitting if kind.name == asked]
    return bool(fitting) and all(
        who.has_scope(kind.scope) and not kind.confirm for kind in fitting
    )


@settings(max_examples=400, deadline=None)
@given(
    who=identities,
    catalog=catalogs,
    asked=asked_for,
    params=given_params,
    options=given_options,
    way=st.sampled_from(("start", "retry", "member")),
    args=st.sampled_from(((), ("critical",))),
)
def test_what_is_permitted_is_permitted_by_each_rule(
    who: Identity,
    catalog: Catalog,
    asked: str,
    params: dict[str, object],
    options: SendOptions,
    way: Any,
    args: tuple[object, ...],
) -> None:
    wish = StartRequest(
        task_type=asked,
        params=params,
        args=args if way == "retry" else (),
        options=options,
        way=way,
        task_id="1",
    )
    try:
        decision = decide_start(who, wish, catalog, {"q"}, TODAY)
    except HeraldError:
        return
    if decision.question:
        assert way != "member"
        assert decision.kind.confirm
        assert all(repr(v) in decision.question for v in decision.order.kwargs.values())
    else:
        assert _may_run(who, catalog, decision.order, asked, way)


# -- the same through what sends ----------------------------------------------------


def _by_start(control: Control, asked: str, params: Any, options: SendOptions) -> Any:
    return control.start(asked, params, options)


def _by_key(control: Control, asked: str, params: Any, options: SendOptions) -> Any:
    key = f"k{next(numbers)}"

    async def twice() -> None:
        await control.start(asked, params, options, key=key, who="somebody")
        await control.start(asked, params, options, key=key, who="somebody")

    return twice()


def _by_group(control: Control, asked: str, params: Any, options: SendOptions) -> Any:
    return control.start_group([(asked, params)], options)


def _by_chain(control: Control, asked: str, params: Any, options: SendOptions) -> Any:
    return control.start_chain([(asked, params)], options)


async def _by_retry(
    control: Control, asked: str, params: Any, options: SendOptions
) -> None:
    task_id = f"task{next(numbers)}"
    told = {"name": asked, "args": "()", "kwargs": repr(params), "queue": options.queue}
    store = cast(MemoryStore, control._store)  # pyright: ignore[reportPrivateUsage]
    for clock, kind in enumerate(("received", "failed"), 1):
        event = Event(
            kind=kind,
            task_id=task_id,
            at=1.0,
            host="w@h",
            pid=1,
            clock=clock,
            retries=0,
            tags=options.tags or None,
            **cast(Any, told if clock == 1 else {"exception": "E()"}),
        )
        await store.store([event], now=1.0)
    await control.retry(task_id)


WAYS: dict[str, Callable[..., Any]] = {
    "start": _by_start,
    "key": _by_key,
    "group": _by_group,
    "chain": _by_chain,
    "retry": _by_retry,
}


@pytest.fixture(scope="module")
def app() -> Celery:
    """An app on kombu's own broker in memory, and no result backend."""
    made = Celery("decided", broker="memory://", set_as_current=False)
    made.conf.update(
        task_default_queue=QUEUE,
        task_routes={"x": {"queue": "q"}},
    )
    return made


def _sent(app: Celery) -> list[dict[str, Any]]:
    """Take the messages that were sent."""
    found: list[dict[str, Any]] = []
    with cast(Any, app).connection_for_read() as connection:
        for name in (QUEUE, "q", "unacked", "elsewhere"):
            with connection.SimpleQueue(name) as queue:
                while queue.qsize():
                    message = queue.get(block=False)
                    message.ack()
                    found.append({**message.headers, "to": name, "sent": message})
    return found


@pytest.mark.parametrize("way", WAYS)
def test_each_way_sends_what_the_decision_permits_and_no_more(
    app: Celery, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueueValidator, "_ask_workers", _nobody_answers)
    monkeypatch.setattr(registered_tasks, "ask_registered", _nobody_registers)

    @settings(max_examples=40, deadline=None)
    @given(
        who=identities,
        catalog=catalogs,
        asked=asked_for,
        params=given_params,
        options=given_options,
    )
    def holds(
        who: Identity, catalog: Catalog, asked: str, params: Any, options: SendOptions
    ) -> None:
        asyncio.run(_try(app, way, who, catalog, asked, params, options))
        for message in _sent(app):
            args, kwargs, _ = message["sent"].payload
            order = _as_ordered(message, args, kwargs, options)
            assert _may_run(who, catalog, order, asked, way), message

    holds()


def _as_ordered(message: Any, args: Any, kwargs: Any, options: SendOptions) -> TaskSpec:
    to = None if message["to"] == QUEUE else message["to"]
    return TaskSpec(
        task_id="1",
        name=message["task"],
        args=tuple(args),
        kwargs=kwargs,
        options=SendOptions(queue=to, tags=options.tags),
    )


async def _nobody_answers(_: QueueValidator) -> set[str]:
    return set()


def _nobody_registers(*_: object) -> dict[str, list[str]]:
    return {}


async def _try(
    app: Celery,
    way: str,
    who: Identity,
    catalog: Catalog,
    asked: str,
    params: Any,
    options: SendOptions,
) -> None:
    store = MemoryStore()
    await store.open()
    control = Control(app, store, Hub(), catalog)
    with contextlib.suppress(HeraldError), enter_request(who):
        await WAYS[way](control, asked, params, options)


# -- by example ----------------------------------------------------------------------

CRISIS = TaskType(
    "crisis",
    "t.crisis",
    params=(Param("level", "string", required=True, enum=LEVELS),),
    scope="admin",
    confirm=True,
)
STARTER = Identity("starter", frozenset({"read", "start"}))
ADMIN = Identity("admin")


def decided(who: Identity | None, catalog: Catalog, **wish: Any) -> Any:
    return decide_start(who, StartRequest(task_id="1", **wish), catalog, (), TODAY)


@pytest.mark.parametrize("asked", ["crisis", "t.crisis"])
@pytest.mark.parametrize("way", ["start", "retry", "member"])
def test_what_is_allowed_by_name_keeps_the_rules_of_its_type(
    asked: str, way: Any
) -> None:
    catalog = Catalog([CRISIS], ["t.*"])
    asked = "t.crisis" if way == "retry" else asked
    with pytest.raises(PermissionDenied, match="needs a token with the scope admin"):
        decided(STARTER, catalog, task_type=asked, params={"level": "minor"}, way=way)
    with pytest.raises(HeraldError, match=r"must be one of|asks a person"):
        decided(ADMIN, catalog, task_type=asked, params={"level": "huge"}, way=way)
    if way != "member":
        level = {"level": "critical"}
        told = decided(ADMIN, catalog, task_type=asked, params=level, way=way)
        assert "level='critical'" in told.question


def test_of_several_types_of_a_celery_name_the_strictest_that_fits_decides() -> None:
    small = TaskType("small", "t.crisis", params=(Param("n", "integer"),))
    catalog = Catalog([small, CRISIS], ["t.*"])
    told = decided(STARTER, catalog, task_type="t.crisis", params={"n": 1})
    assert (told.kind.name, told.question) == ("small", "")
    with pytest.raises(PermissionDenied):
        decided(STARTER, catalog, task_type="t.crisis", params={"level": "minor"})
    both = Catalog([TaskType("a", "t.x"), TaskType("b", "t.x", confirm=True)], ["t.*"])
    assert decided(STARTER, both, task_type="t.x").question
    assert not decided(STARTER, both, task_type="a").question


def test_arguments_without_a_name_are_for_admin_where_the_catalog_has_checks() -> None:
    catalog = Catalog([TaskType("small", "t.small")], ["free.*"])
    retried: dict[str, Any] = {"task_type": "t.small", "way": "retry", "args": (1,)}
    fed: dict[str, Any] = {"task_type": "small", "way": "member", "takes_result": True}
    for wish in (retried, fed):
        with pytest.raises(PermissionDenied, match="positional arguments"):
            decided(STARTER, catalog, **wish)
        assert decided(ADMIN, catalog, **wish)
        assert decided(STARTER, catalog, **{**wish, "task_type": "free.task"})


def test_a_question_shows_everything_or_is_not_asked() -> None:
    free = TaskType("free", "t.free", any_params=True, confirm=True)
    catalog = Catalog([free], queues=["slow"])
    told = decided(
        ADMIN,
        catalog,
        task_type="free",
        params={"reason": "a\u202eb\n"},
        options=SendOptions(queue="slow", when="countdown=60"),
    )
    assert "reason='a\\u202eb\\n'" in told.question
    assert "Queue: 'slow'. When: countdown=60." in told.question
    params = {"reason": "x" * MAX_QUESTION}
    with pytest.raises(HeraldError, match="shorten them"):
        decided(ADMIN, catalog, task_type="free", params=params)


@pytest.mark.parametrize("name", ["t.\nINFO forged", "t." + "x" * 300, "t.\x1b[2J"])
def test_a_name_that_would_break_a_log_starts_nothing(name: str) -> None:
    with pytest.raises(HeraldError) as caught:
        decided(ADMIN, Catalog([], ["*"]), task_type=name)
    assert "\n" not in str(caught.value)
    with pytest.raises(HeraldError, match="printable"):
        decided(ADMIN, Catalog([], ["*"]), task_type=name, way="retry")


# -- consent ---------------------------------------------------------------------------


def test_a_consent_is_good_once_for_one_order_of_one_caller(app: Celery) -> None:
    async def tries() -> None:
        control = Control(app, MemoryStore(), Hub(), Catalog([CRISIS], ["t.*"]))

        async def ask(who: Identity, level: str, ticket: str | None = None) -> str:
            try:
                with enter_request(who):
                    await control.start("crisis", {"level": level}, ticket=ticket)
            except ConfirmationRequired as error:
                return error.ticket
            return ""

        ticket = await ask(ADMIN, "minor")
        assert await ask(ADMIN, "critical", ticket)
        assert await ask(Identity("other"), "minor", ticket)
        assert await ask(ADMIN, "minor", ticket[:-4] + "AAAA")
        assert await ask(ADMIN, "minor", "no ticket")
        assert await ask(ADMIN, "minor", ticket) == ""
        assert await ask(ADMIN, "minor", ticket)

    asyncio.run(tries())
    assert len(_sent(app)) == 1
