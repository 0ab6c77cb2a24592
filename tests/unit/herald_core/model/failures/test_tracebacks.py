"""Tracebacks as Python writes them are split at once, and as line by line."""

from hypothesis import example, given
from hypothesis import strategies as st

from herald_core.model.failures.tracebacks import (
    GROUP_HEADER,
    HEADER,
    LINKS,
    parse_block,
    parse_frames,
    split_blocks,
    split_plain,
)

CAUSE, CONTEXT = sorted(LINKS)
LINES = [
    *(HEADER, HEADER, CAUSE, CONTEXT, "", "", "  ", "\r", GROUP_HEADER),
    '  File "/srv/app/shop/pay.py", line 3, in charge',
    '  File "/srv/app/shop/pay.py", line 3',
    *("    charge()", "    ^^^^^^", "ValueError: no", "KeyError", "free text"),
    *("billiard.einfo.RemoteTraceback: ", '"""', "  | ValueError: x"),
]

texts = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


@given(texts.map(lambda text: f"{HEADER}\n{text}"))
@example(f"{HEADER}\nValueError: a\n\n{CAUSE}\n\n{HEADER}\nKeyError: b\n")
@example(f"{HEADER}\nValueError: a\n\n{CAUSE}\n\n{HEADER}\n{CAUSE}\nKeyError: b")
def test_blocks_are_those_that_the_lines_tell(text: str) -> None:
    blocks = split_plain(text)
    if blocks is None:
        return
    expected = ["\n".join(block) for block in split_blocks(text.split("\n"))]
    assert list(map(parse_block, blocks)) == list(map(parse_block, expected))


def test_a_chain_is_split_at_once() -> None:
    text = f"{HEADER}\nValueError: a\n\n{CAUSE}\n\n{HEADER}\n    x\nKeyError: b\n"
    blocks = split_plain(text)
    assert blocks is not None
    assert [parse_block(one).type_name for one in blocks] == ["ValueError", "KeyError"]


def test_what_no_python_writes_is_left_to_its_lines() -> None:
    assert split_plain("ValueError: no") is None
    assert split_plain(f"{HEADER}\r\nValueError: no") is None
    assert split_plain(f"{HEADER}\n{GROUP_HEADER}\n") is None
    assert split_plain(f"{HEADER}\nValueError: a\n{CAUSE}\nnothing") is None


def test_frames_are_in_the_order_of_their_calls() -> None:
    lines = (
        '  File "a.py", line 3, in f\n    g()\n  File "b.py", line 4\n    File "c.py"\n'
    )
    assert [(one.path, one.function) for one in parse_frames(lines)] == [
        ("a.py", "f"),
        ("b.py", ""),
    ]
