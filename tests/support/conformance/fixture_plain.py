"""What the suite calls by name: plain tools, resources and prompts."""

import asyncio
import base64
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.tools import Tool, ToolResult
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    EmbeddedResource,
    ImageContent,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY
from pydantic import Field

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQ"
    "AAAABJRU5ErkJggg=="
)
WAV = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\0\0\0\0"

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {
        "properties": {"contactMethod": {"const": "phone"}},
        "required": ["contactMethod"],
    },
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class SchemaTool(Tool):
    """A tool with a schema of its own making."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Say what it was given."""
        return ToolResult(content=str(sorted(arguments)))


def register(mcp: FastMCP[Any]) -> None:
    """Add all of it to `mcp`."""
    _contents(mcp)
    _behaviours(mcp)
    _resources(mcp)
    _prompts(mcp)
    mcp.add_tool(
        SchemaTool(
            name="json_schema_2020_12_tool",
            description="Tool with JSON Schema 2020-12 features",
            parameters=SCHEMA,
        )
    )


def image() -> ImageContent:
    """Return a small picture."""
    data = base64.b64encode(PNG).decode()
    return ImageContent(type="image", data=data, mime_type="image/png")


def embedded(uri: str, text: str, mime_type: str) -> EmbeddedResource:
    """Return a resource inside an answer."""
    inner = TextResourceContents(uri=uri, text=text, mime_type=mime_type)
    return EmbeddedResource(type="resource", resource=inner)


def _contents(mcp: FastMCP[Any]) -> None:
    @mcp.tool
    def test_simple_text() -> str:
        """Return a text."""
        return "This is a simple text response for testing."

    @mcp.tool
    def test_image_content() -> ImageContent:
        """Return a picture."""
        return image()

    @mcp.tool
    def test_audio_content() -> AudioContent:
        """Return a sound."""
        data = base64.b64encode(WAV).decode()
        return AudioContent(type="audio", data=data, mime_type="audio/wav")

    @mcp.tool
    def test_embedded_resource() -> EmbeddedResource:
        """Return a resource."""
        text = "This is an embedded resource content."
        return embedded("test://embedded-resource", text, "text/plain")

    @mcp.tool
    def test_multiple_content_types() -> ToolResult:
        """Return several things."""
        text = TextContent(type="text", text="Multiple content types test:")
        inner = '{"test":"data","value":123}'
        uri = "test://mixed-content-resource"
        return ToolResult([text, image(), embedded(uri, inner, "application/json")])


def _behaviours(mcp: FastMCP[Any]) -> None:
    @mcp.tool
    async def test_tool_with_logging(ctx: Context) -> str:
        """Log three lines."""
        for line in ("execution started", "processing data", "execution completed"):
            await ctx.info(f"Tool {line}")
            await asyncio.sleep(0.05)
        return "logged"

    mcp.tool(test_tool_with_logging, name="test_logging_tool")

    @mcp.tool
    def test_error_handling() -> str:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @mcp.tool
    async def test_tool_with_progress(ctx: Context) -> str:
        """Report progress."""
        for progress in (0, 50, 100):
            await ctx.report_progress(progress, 100)
            await asyncio.sleep(0.05)
        return "done"

    @mcp.tool
    async def test_sampling(ctx: Context, prompt: str) -> str:
        """Ask the client's model."""
        said = SamplingMessage(
            role="user", content=TextContent(type="text", text=prompt)
        )
        answer = await ctx.session.send_request(
            CreateMessageRequest(
                params=CreateMessageRequestParams(messages=[said], max_tokens=100)
            ),
            CreateMessageResult,
            metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
        )
        return f"LLM response: {getattr(answer.content, 'text', '')}"

    @mcp.tool
    async def test_reconnection(ctx: Context) -> str:
        """Close the stream in the middle."""
        await ctx.close_sse_stream()
        await asyncio.sleep(0.1)
        return "Reconnection test completed"

    @mcp.tool
    def test_missing_capability(ctx: Context) -> str:
        """Need a client that samples."""
        able = ctx.session.client_capabilities
        if able is None or able.sampling is None:
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                "declare the capability sampling",
                {"requiredCapabilities": {"sampling": {}}},
            )
        return "able"

    @mcp.tool
    def test_x_mcp_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    ) -> str:
        """Take an argument that travels in a header too."""
        return region


def _resources(mcp: FastMCP[Any]) -> None:
    @mcp.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """Return a text."""
        return "This is the content of the static text resource."

    @mcp.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """Return a picture."""
        return PNG

    @mcp.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """Return something about an id."""
        return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'

    @mcp.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """Return what the suite subscribes to."""
        return "watched"


def _prompts(mcp: FastMCP[Any]) -> None:
    @mcp.prompt
    def test_simple_prompt() -> str:
        """Return a simple prompt."""
        return "This is a simple prompt for testing."

    @mcp.prompt
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Return a prompt with its arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @mcp.prompt
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
        """Return a prompt with a resource."""
        text = "Embedded resource content for testing."
        return [
            Message(embedded(resourceUri, text, "text/plain")),
            Message("Please process the embedded resource above."),
        ]

    @mcp.prompt
    def test_prompt_with_image() -> list[Message]:
        """Return a prompt with a picture."""
        return [Message(image()), Message("Please analyze the image above.")]
