"""Tools of the suite that go on as tasks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from herald_server.mcp.tasks_extension.extension import EXTENSION_ID
from tests.support.conformance.fixture_input import asked, content, question
from tests.support.conformance.jobs import Crash, Job, Jobs

REQUIRED = frozenset(["failing_job", "test_tool_with_task"])
TOOLS = REQUIRED | {
    "slow_compute",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
}

NAME = {"properties": {"name": {"type": "string"}}, "required": ["name"]}


def register(mcp: FastMCP[Any], jobs: Jobs) -> None:
    """Add the tools to `mcp`."""

    async def ran(
        ctx: Context, name: str, body: Callable[[Job], Awaitable[object]]
    ) -> dict[str, Any]:
        """Start a job, or run it on the spot for a client that knows no tasks."""
        now = ctx.request_context
        modern = now is not None and now.protocol_version in MODERN_PROTOCOL_VERSIONS
        if modern and ctx.client_extension_settings(EXTENSION_ID) is not None:
            return {"task_id": await jobs.start(name, body)}
        return {"result": await body(Job(jobs.store, name))}

    @mcp.tool
    def greet(name: str) -> str:
        """Greet somebody, at once."""
        return f"Hello, {name}!"

    @mcp.tool
    async def slow_compute(
        ctx: Context, seconds: float = 1, label: str = ""
    ) -> dict[str, Any]:
        """Take some seconds."""

        async def body(job: Job) -> object:
            await asyncio.sleep(seconds)
            return f"computed {label}"

        return await ran(ctx, "slow_compute", body)

    @mcp.tool
    async def failing_job(ctx: Context) -> dict[str, Any]:
        """Fail after a moment, as a tool does."""

        async def body(job: Job) -> object:
            await asyncio.sleep(0.05)
            raise ValueError("this job always fails")

        return await ran(ctx, "failing_job", body)

    @mcp.tool
    async def protocol_error_job(ctx: Context) -> dict[str, Any]:
        """Go down without an answer."""

        async def body(job: Job) -> object:
            raise Crash

        return await ran(ctx, "protocol_error_job", body)

    @mcp.tool
    async def confirm_delete(ctx: Context, filename: str = "") -> dict[str, Any]:
        """Ask before it deletes."""
        schema = {"properties": {"confirm": {"type": "boolean"}}}

        async def body(job: Job) -> object:
            said = await job.asked({"confirm": question(f"Delete {filename}?", schema)})
            return f"{filename}: {content(said['confirm'])}"

        return await ran(ctx, "confirm_delete", body)

    @mcp.tool
    async def multi_input(ctx: Context) -> dict[str, Any]:
        """Ask two things at once."""

        async def body(job: Job) -> object:
            said = await job.asked(
                {"first": question("First?", NAME), "second": question("Second?", NAME)}
            )
            return {key: content(one) for key, one in said.items()}

        return await ran(ctx, "multi_input", body)

    @mcp.tool
    async def test_tool_with_task(ctx: Context) -> dict[str, Any] | InputRequiredResult:
        """Ask for a name, then go on as a task."""
        said = (ctx.input_responses or {}).get("user_name")
        if said is None:
            return asked(user_name=question("What is your name?", NAME))

        async def body(job: Job) -> object:
            return f"Hello, {content(said).get('name')}!"

        return await ran(ctx, "test_tool_with_task", body)
