"""Read the OpenAPI document as a validator does, and more strictly."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

Schema = dict[str, Any]
JSON = "application/json"


class OpenApi:
    """The document, and questions about it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def resolve(self, schema: Schema) -> Schema:
        """Return what a reference names."""
        name = _get_name(schema)
        return self.document["components"]["schemas"][name] if name else schema

    def list_answers(self) -> Iterator[tuple[str, Schema]]:
        """Yield each successful answer of JSON: its name and its schema."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                for status, answer in operation["responses"].items():
                    if status.startswith("2") and JSON in answer.get("content", {}):
                        name = f"{method.upper()} {path} {status}"
                        yield name, answer["content"][JSON]["schema"]

    def find_answer(self, method: str, path: str, status: int) -> Schema:
        """Return the schema of an answer; of several paths, of that which says most."""
        found: dict[str, Any] = {}
        for template, item in self.document["paths"].items():
            pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(template))
            if method.lower() in item and re.fullmatch(pattern, path):
                found[re.sub(r"{\w+}", "", template)] = item[method.lower()]
        answers = found[max(found, key=len)]["responses"]
        schema: Schema = answers[str(status)]["content"][JSON]["schema"]
        return schema

    def list_types(self) -> Iterator[tuple[str, Schema]]:
        """Yield name and schema of each type that an answer has a part of."""
        seen, left = set[str](), [schema for _, schema in self.list_answers()]
        while left:
            for one in walk(left.pop()):
                name = _get_name(one)
                if name and name not in seen:
                    seen.add(name)
                    yield name, self.resolve(one)
                    left += self.resolve(one).get("properties", {}).values()

    def list_unknown(self, value: Any, schema: Schema, at: str = "") -> list[str]:
        """Return the members of a JSON value of which `schema` says nothing."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            tries = (self.list_unknown(value, one, at) for one in schema["anyOf"])
            return min(tries, key=len)
        if isinstance(value, list):
            items: list[Schema] = [*schema.get("prefixItems", ())]
            item = items[0] if items else schema.get("items") or {}
            values = cast("Sequence[Any]", value)
            return [
                u for one in values for u in self.list_unknown(one, item, at + "[]")
            ]
        if not isinstance(value, dict) or is_bare(schema):
            return []
        return self._list_unknown_members(cast("dict[str, Any]", value), schema, at)

    def _list_unknown_members(
        self, value: dict[str, Any], schema: Schema, at: str
    ) -> list[str]:
        known: Schema = schema.get("properties", {})
        more: Schema | None = schema.get("additionalProperties")
        unknown: list[str] = []
        for key, one in value.items():
            described = known.get(key) or more
            place = f"{at}.{key}"
            unknown += (
                self.list_unknown(one, described, place) if described else [place]
            )
        return unknown


def is_bare(schema: Schema) -> bool:
    """Return True if `schema` is an object of which nothing is said, or anything."""
    if schema.get("type") == "object":
        return not schema.get("properties") and not schema.get("additionalProperties")
    return not schema.keys() - {"description", "title", "default"}


def walk(schema: Schema) -> Iterator[Schema]:
    """Yield `schema` and those within it, without what it refers to."""
    yield schema
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(schema[key])
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for one in schema.get(key, ()):
            yield from walk(one)


def _get_name(schema: Schema) -> str:
    name: str = schema.get("$ref", "").rpartition("/")[2]
    return name
