"""Icons of the server and of its tools, as `data:` URLs: no other host is asked."""

from __future__ import annotations

from urllib.parse import quote

from mcp.types import Icon

_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" '
    'stroke="{colour}" stroke-width="1.5"><path d="{path}"/></svg>'
)

BLUE, GREEN, RED = "#2563eb", "#15803d", "#b91c1c"


def _make_icon(path: str, colour: str) -> Icon:
    svg = _FRAME.format(path=path, colour=colour)
    return Icon(src=f"data:image/svg+xml,{quote(svg)}", mime_type="image/svg+xml")


SERVER = _make_icon("M2 6v4h3l5 3V3L5 6zM12 6q1.5 2 0 4", BLUE)
READ = _make_icon("M1 8q7-9 14 0q-7 9-14 0zM8 6v4", BLUE)
WRITE = _make_icon("M4 2l9 6l-9 6z", GREEN)
DESTRUCTIVE = _make_icon("M3 3l10 10M13 3L3 13", RED)
