"""Frames as bytes."""

import msgspec
import pytest

from herald_server import frames
from tests.unit.pushing import at


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (
            frames.data("s", []),
            {"type": "data", "id": "s", "put": []},
        ),
        (
            frames.data("s", [b'{"id":"a"}', b'{"id":"b"}'], ["c"], at(7), "new"),
            {
                "type": "data",
                "id": "s",
                "reset": "new",
                "put": [{"id": "a"}, {"id": "b"}],
                "del": ["c"],
                "cursor": str(at(7)),
            },
        ),
        (
            frames.data('"\\\n', [], iter(['"'])),
            {"type": "data", "id": '"\\\n', "put": [], "del": ['"']},
        ),
        (frames.other("pong"), {"type": "pong"}),
        (
            frames.other("error", id=None, code="x", retry=False),
            {"type": "error", "code": "x", "retry": False},
        ),
    ],
)
def test_a_frame_is_one_json_object(frame: bytes, said: dict[str, object]) -> None:
    assert msgspec.json.decode(frame) == said
