"""What the suite calls by name: tools and a prompt that ask the client for input."""

from collections.abc import Mapping
from typing import Any, cast

from fastmcp import Context, FastMCP
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)

NAME = {"properties": {"name": {"type": "string"}}, "required": ["name"]}
COLOR = {"properties": {"color": {"type": "string"}}, "required": ["color"]}
OK = {"properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
CONTEXT = {"properties": {"context": {"type": "string"}}, "required": ["context"]}

USER = {
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}
DEFAULTS: dict[str, Any] = {
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    },
    "required": [],
}
PLAIN = ["option1", "option2", "option3"]


def titled(*titles: str) -> list[dict[str, str]]:
    """Return choices with titles."""
    return [{"const": f"value{n}", "title": t} for n, t in enumerate(titles, 1)]


ENUMS: dict[str, Any] = {
    "properties": {
        "untitledSingle": {"type": "string", "enum": PLAIN},
        "titledSingle": {
            "type": "string",
            "oneOf": titled("First Option", "Second Option", "Third Option"),
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": PLAIN}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": titled("First Choice", "Second Choice", "Third Choice")},
        },
    },
    "required": [],
}


def question(message: str, schema: Mapping[str, Any]) -> Any:
    """Return a request that asks the user, as JSON values."""
    form = {"type": "object", **schema}
    asked = ElicitRequest(
        params=ElicitRequestFormParams(message=message, requested_schema=form)
    )
    return asked.model_dump(by_alias=True, mode="json", exclude_none=True)


def model_question(text: str, most: int) -> CreateMessageRequest:
    """Return a request that asks the client's model."""
    said = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[said], max_tokens=most)
    )


def asked(state: str | None = None, **requests: Any) -> InputRequiredResult:
    """Return what asks the client for input."""
    return InputRequiredResult.model_validate(
        {
            "resultType": "input_required",
            "inputRequests": {
                key: one
                if isinstance(one, dict)
                else one.model_dump(by_alias=True, mode="json", exclude_none=True)
                for key, one in requests.items()
            },
            **({"requestState": state} if state else {}),
        }
    )


def content(said: Any) -> dict[str, Any]:
    """Return what the user filled in."""
    found: Any
    if isinstance(said, Mapping):
        found = cast("Mapping[str, Any]", said).get("content")
    else:
        found = getattr(said, "content", None)
    return dict(found or {})


def answers(ctx: Context) -> dict[str, Any]:
    """Return what the client answered."""
    return dict(ctx.input_responses or {})


def register(mcp: FastMCP[Any]) -> None:
    """Add all of it to `mcp`."""
    _older(mcp)
    _one_round(mcp)
    _with_state(mcp)
    _capable(mcp)


def _older(mcp: FastMCP[Any]) -> None:
    async def elicited(ctx: Context, message: str, schema: Mapping[str, Any]) -> str:
        said = await ctx.session.elicit_form(
            message, {"type": "object", **schema}, related_request_id=ctx.request_id
        )
        return f"action={said.action}, content={said.content}"

    @mcp.tool
    async def test_elicitation(ctx: Context, message: str) -> str:
        """Ask the user who they are."""
        return "User response: " + await elicited(ctx, message, USER)

    @mcp.tool
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        """Ask with defaults."""
        return "Elicitation completed: " + await elicited(ctx, "Check", DEFAULTS)

    @mcp.tool
    async def test_elicitation_sep1330_enums(ctx: Context) -> str:
        """Ask with choices."""
        return "Elicitation completed: " + await elicited(ctx, "Choose", ENUMS)


def _one_round(mcp: FastMCP[Any]) -> None:
    @mcp.tool
    def test_input_required_result_elicitation(
        ctx: Context,
    ) -> str | InputRequiredResult:
        """Ask for a name."""
        name = content(answers(ctx).get("user_name")).get("name")
        if not isinstance(name, str):
            return asked(user_name=question("What is your name?", NAME))
        return f"Hello, {name}!"

    mcp.tool(test_input_required_result_elicitation, name="test_streaming_elicitation")

    @mcp.tool
    def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
        """Ask the client's model."""
        said = answers(ctx).get("capital_question")
        if said is None:
            ask = model_question("What is the capital of France?", 100)
            return asked(capital_question=ask)
        return str(getattr(said.content, "text", said.content))

    @mcp.tool
    def test_input_required_result_list_roots(
        ctx: Context,
    ) -> str | InputRequiredResult:
        """Ask for the client's roots."""
        said = answers(ctx).get("client_roots")
        if said is None:
            return asked(client_roots={"method": "roots/list", "params": {}})
        return "roots: " + ", ".join(str(root.uri) for root in said.roots)

    @mcp.prompt
    def test_input_required_result_prompt(ctx: Context) -> Any:
        """Ask for the context of a prompt."""
        said = content(answers(ctx).get("user_context")).get("context")
        if said is None:
            what = "What context should the prompt use?"
            return asked(user_context=question(what, CONTEXT))
        return f"Use this context: {said}"


def _with_state(mcp: FastMCP[Any]) -> None:
    @mcp.tool
    def test_input_required_result_request_state(
        ctx: Context,
    ) -> str | InputRequiredResult:
        """Ask, and get its state back."""
        if "confirm" not in answers(ctx):
            return asked("waiting", confirm=question("Please confirm", OK))
        return "state-ok" if ctx.request_state == "waiting" else "state lost"

    mcp.tool(
        test_input_required_result_request_state,
        name="test_input_required_result_tampered_state",
    )

    @mcp.tool
    def test_input_required_result_multiple_inputs(
        ctx: Context,
    ) -> str | InputRequiredResult:
        """Ask three things at once."""
        if {"user_name", "greeting", "client_roots"} <= answers(ctx).keys():
            return f"all of it, {ctx.request_state}"
        return asked(
            "three",
            user_name=question("What is your name?", NAME),
            greeting=model_question("Generate a greeting", 50),
            client_roots={"method": "roots/list", "params": {}},
        )

    @mcp.tool
    def test_input_required_result_multi_round(
        ctx: Context,
    ) -> str | InputRequiredResult:
        """Ask twice."""
        if ctx.request_state == "second":
            return f"done, {content(answers(ctx).get('step2')).get('color')}"
        if ctx.request_state == "first":
            ask = question("Step 2: What is your favorite color?", COLOR)
            return asked("second", step2=ask)
        return asked("first", step1=question("Step 1: What is your name?", NAME))


def _capable(mcp: FastMCP[Any]) -> None:
    @mcp.tool
    def test_input_required_result_capabilities(
        ctx: Context,
    ) -> str | InputRequiredResult:
        """Ask only what the client can be asked."""
        able = ctx.session.client_capabilities
        requests: dict[str, Any] = {}
        if able is not None and able.sampling is not None:
            requests["greeting"] = model_question("Generate a greeting", 50)
        if able is not None and able.elicitation is not None:
            requests["user_name"] = question("What is your name?", NAME)
        if answers(ctx) or not requests:
            return "nothing to ask"
        return asked(None, **requests)
