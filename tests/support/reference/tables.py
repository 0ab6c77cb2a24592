"""Tables of Markdown, and JSON schemas as a reader is shown them."""

from collections.abc import Iterable, Sequence
from inspect import cleandoc
from typing import Any

Schema = dict[str, Any]


def write_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown."""
    begin = f"{_write_row(head)}|{'---|' * len(head)}\n"
    return begin + "".join(map(_write_row, rows))


def _write_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape_cell, cells))} |\n"


def escape_cell(text: str) -> str:
    """Return a text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def write_members(schema: Schema) -> str:
    """Return the members of an object as a table; nothing if it has none."""
    needed = schema.get("required", ())
    rows = [
        (f"`{name}`", describe_type(one), _yes(name in needed), describe(one))
        for name, one in schema.get("properties", {}).items()
    ]
    if not rows:
        return ""
    if any(text for *_, text in rows):
        return write_table(("member", "type", "always", ""), rows)
    return write_table(("member", "type", "always"), [row[:3] for row in rows])


def _yes(flag: bool) -> str:
    return "yes" if flag else ""


def describe(schema: Schema) -> str:
    """Return what a schema says of itself."""
    return cleandoc(schema.get("description", ""))


def describe_type(schema: Schema) -> str:
    """Return a type in words; that of the document is a link to its heading."""
    name: str = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            kinds = [describe_type(one) for one in schema[key]]
            return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    return _describe_plain(schema)


def _describe_plain(schema: Schema) -> str:
    kind = schema.get("type", "any")
    if kind == "array":
        parts: list[Schema] = [*schema.get("prefixItems", ())]
        parts.append(schema.get("items") or {})
        return f"list of {describe_type(parts[0])}"
    more = schema.get("additionalProperties")
    if kind == "object" and more:
        return f"object of {describe_type(more)}"
    return str(kind) + _describe_bounds(schema)


def _describe_bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None:
        return f", {least or 0:,} to {most:,}"
    return f", from {least:,}" if least else ""
