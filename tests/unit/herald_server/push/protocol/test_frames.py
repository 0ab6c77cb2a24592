"""Frames as bytes."""

import msgspec
import pytest

from herald_server.push.protocol import frames
from herald_server.push.session.subscription import DataFrame
from tests.support.model.changes import at


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (
            DataFrame("s", [], []).encode(),
            {"type": "data", "id": "s", "put": []},
        ),
        (
            DataFrame("s", [b'{"id":"a"}', b'{"id":"b"}'], ["c"], "new").encode(at(7)),
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
            DataFrame('"\\\n', [], ['"']).encode(),
            {"type": "data", "id": '"\\\n', "put": [], "del": ['"']},
        ),
        (frames.encode_control("pong"), {"type": "pong"}),
        (
            frames.encode_control("error", id=None, code="x", retry=False),
            {"type": "error", "code": "x", "retry": False},
        ),
    ],
)
def test_a_frame_is_one_json_object(frame: bytes, said: dict[str, object]) -> None:
    assert msgspec.json.decode(frame) == said
