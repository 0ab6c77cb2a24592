"""Send tasks, events and results as Celery does."""

from typing import Any, cast
from uuid import uuid4

from celery import Celery
from kombu import Producer


def send(app: Celery, name: str, *args: object, **options: object) -> str:
    """Send a task; return its id."""
    return str(cast(Any, app).send_task(name, args, **options).id)


def emit(app: Celery, body: object, **options: object) -> None:
    """Publish an event or a list of them as a worker does."""
    with cast(Any, app).connection_for_write() as connection:
        dispatcher = cast(Any, app).events.Dispatcher(connection, enabled=False)
        producer = Producer(connection.channel())
        cast(Any, producer).publish(
            body,
            exchange=dispatcher.exchange.name,
            routing_key="task.multi",
            declare=[dispatcher.exchange],
            **{"serializer": "json", **options},
        )


def emit_raw(app: Celery, body: bytes, content_type: str) -> None:
    """Publish a body that says of itself that it is an event."""
    binary = "binary" if content_type != "application/json" else "utf-8"
    emit(
        app,
        body,
        serializer=None,
        content_type=content_type,
        content_encoding=binary,
    )


def store_result(app: Celery, result: object, state: str = "SUCCESS") -> str:
    """Store a result as a worker does; return the task's id."""
    task_id = str(uuid4())
    cast(Any, app).backend.store_result(task_id, result, state)
    return task_id
