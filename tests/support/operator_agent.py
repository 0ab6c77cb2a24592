"""An operator's agent without a model: it reads tool descriptions and follows answers.

It chooses a tool by the words of its name, title and description, fills arguments from
what it was asked and from earlier answers, and does what a `message` tells it to do.
All that a model would read or write is counted in tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, cast

from fastmcp import Client
from mcp.types import Tool

from tests.support.tokens import count_tokens

WORD = re.compile(r"[a-z]{3,}")
NAMED_TOOL = re.compile(
    r"\b(?:(?:wait_for|start|get|list|explain|retry|cancel)_[a-z_]+)\b"
)
COMMON_WORDS = frozenset(
    ("and", "for", "has", "its", "list", "that", "the", "this", "where", "with", "get")
)
MAX_FOLLOWED = 2
"""Tools that answers may lead to, one after another."""


class OperatorAgent:
    """Answers questions of an operator with the tools of a server.

    `tokens` counts the list of tools once, and each request and each answer.
    """

    def __init__(self, client: Client[Any], tools: Sequence[Tool]) -> None:
        self._client = client
        self._tools = {tool.name: tool for tool in tools}
        self.tokens = count_tokens([describe_tool(tool) for tool in tools])
        self.calls: list[str] = []
        self.largest = 0

    def choose_tool(self, question: str, given: Collection[str] = ()) -> str:
        """Return the tool whose description fits the words of `question` best.

        It takes all that is `given`, and requires nothing else. A word in the name of a
        tool counts three times, and one in the first sentence of its description
        twice; a word of many tools counts less.
        """
        words = set(WORD.findall(question.lower())) - COMMON_WORDS
        fitting = [name for name in self._tools if self._fits(name, set(given))]
        return max(fitting, key=lambda name: (self._score(name, words), name))

    def _fits(self, name: str, given: set[str]) -> bool:
        schema = self._tools[name].input_schema
        takes, requires = set(schema["properties"]), set(schema.get("required", ()))
        return requires <= given <= takes

    def _score(self, name: str, words: set[str]) -> float:
        tool = self._tools[name]
        first, _, rest = (tool.description or "").lower().partition("\n")
        names = set(WORD.findall(name.replace("_", " ")))
        names |= set(WORD.findall((tool.title or "").lower()))
        weights = (
            (names, 3.0),
            (set(WORD.findall(first)), 2.0),
            (set(WORD.findall(rest)), 0.5),
        )
        return sum(
            weight / self._count_tools(word)
            for known, weight in weights
            for word in words & known
        )

    def _count_tools(self, word: str) -> int:
        return 1 + sum(
            word in f"{name} {tool.description}".lower()
            for name, tool in self._tools.items()
        )

    async def ask(self, question: str, **given: Any) -> dict[str, Any]:
        """Answer `question`: choose a tool, call it, follow what its answer says."""
        self.tokens += count_tokens(question)
        name = self.choose_tool(question, given)
        answer = await self.call(name, **given)
        for _ in range(MAX_FOLLOWED):
            named = self._find_next(answer, name)
            if named is None:
                break
            name = named
            answer = {**answer, **await self.call(name, **self._fill(name, answer))}
        return answer

    def _find_next(self, answer: dict[str, Any], name: str) -> str | None:
        """Return the tool that a message says to call, if it can be called."""
        message = str(answer.get("message", ""))
        for named in NAMED_TOOL.findall(message):
            known = (
                named in self._tools and named != name and named not in self.calls[-2:]
            )
            if known and "explain" in named and self._fill(named, answer):
                return cast(str, named)
        return None

    def _fill(self, name: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the required arguments of a tool from an answer; empty if unknown."""
        required = self._tools[name].input_schema.get("required", [])
        found = {key: answer[key] for key in required if key in answer}
        return found if len(found) == len(required) else {}

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool and count what a model would write and read."""
        self.calls.append(tool)
        self.tokens += count_tokens({"name": tool, "arguments": arguments})
        result = await self._client.call_tool(tool, arguments, raise_on_error=False)
        text = "".join(str(getattr(one, "text", "")) for one in result.content)
        tokens = count_tokens(text)
        self.tokens, self.largest = self.tokens + tokens, max(self.largest, tokens)
        if result.is_error:
            return {"refused": text}
        return cast("dict[str, Any]", json.loads(text))


def describe_tool(tool: Tool) -> dict[str, Any]:
    """Return what a model reads of a tool."""
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.input_schema,
    }
