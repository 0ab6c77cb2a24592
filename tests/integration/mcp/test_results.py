"""What a task returned, as agents are told: whole, or said to be cut off."""

from typing import Any, cast
from uuid import uuid4

import pytest
from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.model.tasks.views import TaskView
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_server.mcp.answers.task_results import (
    MAX_SHOWN_CHARS,
    BackendResults,
    EventResults,
    Redact,
    TaskResult,
    parse_repr,
)
from tests.support.celery.worker import AppFactory
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    # Celery's Redis backend stores with it.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


def succeeded(text: str | None = None, task_id: str = "t1") -> TaskView:
    return TaskView(id=task_id, state="SUCCESS", result=text, final=True)


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app with a result backend."""
    return project_app(module_valkey.url, module_valkey.url)


async def of(app: Celery, task: TaskView, redact: Redact = str) -> TaskResult:
    """Return what `task` returned, as the backend of `app` has it."""
    backend = ResultBackend(app)
    try:
        return await BackendResults(backend, redact).read(task)
    finally:
        await backend.close()


def kept(app: Celery, result: object, state: str = "SUCCESS") -> str:
    """Store a result, as a worker does; return the id of its task."""
    task_id = uuid4().hex
    cast(Any, app).backend.store_result(task_id, result, state)
    return task_id


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("None", None),
        ("True", True),
        ("'text'", "text"),
        ("{'a': [1, 2.5], 'b': None}", {"a": [1, 2.5], "b": None}),
        ('{"a": true}', {"a": True}),
        ("(1, 2)", [1, 2]),
        ("<object at 0x7f>", "<object at 0x7f>"),
    ],
)
def test_texts_of_events_are_read(text: str, value: object) -> None:
    assert parse_repr(text) == TaskResult(value)


@pytest.mark.parametrize(
    "text",
    [
        "{'a': {...}}",
        "[1, ...]",
        "...",
        "{'a': 'long text...'}",
        "{'a': 1, … (9000 characters)",
    ],
)
def test_texts_that_were_cut_are_said_to_be(text: str) -> None:
    assert parse_repr(text) == TaskResult(text, whole=False)


@pytest.mark.parametrize("text", ["[" * 5000, "{" * 5000, "-" * 9000, "\x00", ""])
def test_no_text_breaks_the_reading(text: str) -> None:
    assert parse_repr(text).value == text


async def test_only_a_task_that_succeeded_has_a_result(app: Celery) -> None:
    running = TaskView(id="t1", state="STARTED", result="1")
    assert await EventResults().read(running) == TaskResult()
    assert await of(app, running) == TaskResult()


async def test_the_backend_tells_the_whole_result(app: Celery) -> None:
    result = {"deep": {"deeper": {"deepest": [1, 2, {"and": "on"}]}}}
    task = succeeded("{'deep': {...}}", kept(app, result))
    assert await of(app, task) == TaskResult(result)


async def test_secrets_are_cut_out_of_results(app: Celery) -> None:
    result = {"user": "me", "auth": {"api_key": "k-123"}, "log": ["token=abc"]}
    task = succeeded(None, kept(app, result))
    outcome = await of(app, task, Redactor())
    shown = str(outcome.value)
    assert "k-123" not in shown
    assert "abc" not in shown
    assert outcome.value["user"] == "me"


async def test_a_result_that_is_too_long_is_cut(app: Celery) -> None:
    task = succeeded(None, kept(app, ["x" * 100] * 1000))
    outcome = await of(app, task)
    assert not outcome.whole
    assert outcome.value.startswith('["xxx')
    assert len(outcome.value) < MAX_SHOWN_CHARS + 100


@pytest.mark.parametrize("depth", [100, 400, 900])
async def test_a_nested_result_breaks_nothing(app: Celery, depth: int) -> None:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    outcome = await of(app, succeeded("7", kept(app, deep)))
    assert outcome != TaskResult()


async def test_a_result_that_is_too_large_is_measured(app: Celery) -> None:
    task = succeeded(None, kept(app, "x" * 1_100_000))
    outcome = await of(app, task)
    assert not outcome.whole
    assert "bytes" in outcome.value


async def test_what_the_backend_does_not_know_is_told_by_events(app: Celery) -> None:
    failed_before = kept(app, "of the run before", "FAILURE")
    assert await of(app, succeeded("7", failed_before)) == TaskResult(7)
    assert await of(app, succeeded("7", "never-stored")) == TaskResult(7)


async def test_a_backend_that_is_gone_is_passed_over(project_app: AppFactory) -> None:
    once: dict[str, object] = {
        "result_backend_transport_options": {
            "retry_policy": {"max_retries": 0, "timeout": 0.5}
        }
    }
    gone = project_app("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0", **once)
    assert await of(gone, succeeded("7")) == TaskResult(7)


async def test_without_a_backend_events_tell(project_app: AppFactory) -> None:
    for backend in (None, "rpc://"):
        app = project_app("redis://127.0.0.1:1/0", backend)
        assert await of(app, succeeded("7")) == TaskResult(7)
