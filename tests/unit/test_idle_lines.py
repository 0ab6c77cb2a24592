"""Connections that a burst needed are closed once nobody used them for a while."""

from herald_monitor.idle_lines import IDLE_S, IdleLines


def test_the_line_used_last_is_used_next() -> None:
    lines: IdleLines[str] = IdleLines()
    assert lines.take() is None
    lines.give("a", 1.0)
    lines.give("b", 2.0)
    assert (lines.take(), lines.take(), lines.take()) == ("b", "a", None)


def test_lines_are_closed_once_after_they_grew_cold() -> None:
    lines: IdleLines[int] = IdleLines()
    for line in range(4):
        lines.give(line, float(line))
    assert lines.cold(IDLE_S) == [0]
    assert lines.cold(IDLE_S + 1.5) == [1]
    assert lines.cold(IDLE_S + 1.5) == []
    assert lines.take() == 3
    lines.give(3, IDLE_S + 1.5)
    assert lines.cold(IDLE_S + 2.0) == [2]


def test_a_closed_line_that_was_used_again_is_closed_again() -> None:
    lines: IdleLines[str] = IdleLines()
    lines.give("a", 0.0)
    assert lines.cold(IDLE_S) == ["a"]
    assert lines.take() == "a"
    lines.give("a", 2 * IDLE_S)
    assert lines.cold(3 * IDLE_S) == ["a"]
