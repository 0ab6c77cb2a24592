"""Connections that a burst needed are closed once nobody used them for a while."""

from herald_core.store.redis.connection.pool import IDLE_S, IdleConnections


def test_the_line_used_last_is_used_next() -> None:
    connections: IdleConnections[str] = IdleConnections()
    assert connections.take() is None
    connections.give("a", 1.0)
    connections.give("b", 2.0)
    assert (connections.take(), connections.take(), connections.take()) == (
        "b",
        "a",
        None,
    )


def test_lines_are_closed_once_after_they_grew_cold() -> None:
    connections: IdleConnections[int] = IdleConnections()
    for connection in range(4):
        connections.give(connection, float(connection))
    last = connections.take() or 0
    assert connections.give(last, IDLE_S) == [0]
    last = connections.take() or 0
    assert connections.give(last, IDLE_S + 1.5) == [1]
    last = connections.take() or 0
    assert connections.give(last, IDLE_S + 1.5) == []
    last = connections.take() or 0
    assert connections.give(last, IDLE_S + 2.0) == [2]


def test_a_closed_line_that_was_used_again_is_closed_again() -> None:
    connections: IdleConnections[str] = IdleConnections()
    connections.give("a", 0.0)
    assert connections.give("b", IDLE_S) == ["a"]
    assert (connections.take(), connections.take()) == ("b", "a")
    connections.give("a", 2 * IDLE_S)
    assert connections.give("b", 3 * IDLE_S) == ["a"]
