"""What each client of the matrix does, and how it tells of it.

The programs beside this one run in environments of their own, in which nothing of
Herald is installed. They are given `URL`, `TOKEN` (none: by OAuth), `STDIO` (a command,
as JSON), `ERA` and `TASK_TYPE` in their environment.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

URL = os.environ.get("URL", "")
TOKEN = os.environ.get("TOKEN", "")
STDIO: list[str] = json.loads(os.environ.get("STDIO", "[]"))
ERA = os.environ.get("ERA", "legacy")
TASK_TYPE = os.environ["TASK_TYPE"]
SECONDS = float(os.environ.get("SECONDS", "70"))

Call = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


def tell(step: str, **more: Any) -> None:
    """Print that a step succeeded."""
    print(json.dumps({"step": step, **more}), flush=True)


async def travel(call: Call, list_tools: Callable[[], Awaitable[Any]]) -> None:
    """List, start, wait, cancel and look, as an agent does."""
    tools = await list_tools()
    tell("connect", tools=len(tools))
    started = await call("start_background_task", make_start(SECONDS))
    tell("start")
    began, calls, told = time.monotonic(), 0, {}
    while not told.get("done"):
        assert time.monotonic() - began < SECONDS + 90, told
        calls += 1
        told = await call("wait_for_task", {"task_id": started["task_id"]})
    assert told["status"] == "success", told
    tell("wait", calls=calls, seconds=round(time.monotonic() - began))
    other = await call("start_background_task", make_start(600))
    await call("cancel_task", {"task_id": other["task_id"]})
    tell("cancel")
    active = await call("list_active_tasks", {})
    assert "total_active" in active, active
    tell("list")


def make_start(seconds: float) -> dict[str, Any]:
    """Return the arguments of a start of a task that takes `seconds`."""
    return {"task_type": TASK_TYPE, "params": {"seconds": seconds}}


def read_text(content: Any) -> dict[str, Any]:
    """Return the JSON in the first text of a result."""
    for one in content:
        text = one.get("text") if isinstance(one, dict) else getattr(one, "text", None)
        if text:
            found: dict[str, Any] = json.loads(text)
            return found
    raise AssertionError(f"no text in {content!r}")


class User:
    """Agrees to everything, as a browser that follows redirects."""

    def __init__(self, get: Callable[[str], Awaitable[str]]) -> None:
        self._get = get
        self.answer: dict[str, str] = {}

    async def visit(self, url: str) -> None:
        """Visit the page of the issuer; `get` returns where it leads."""
        query = parse_qs(urlsplit(await self._get(url)).query)
        self.answer = {key: values[0] for key, values in query.items()}
