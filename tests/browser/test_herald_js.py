"""The browser client `herald.js`: what it holds after each kind of frame and loss."""

import pytest

from tests.support.browser.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser


def task(name: str, second: int = 0) -> dict[str, str]:
    return {"id": name, "received_at": f"2026-11-22T10:00:{second:02}.000Z"}


def snapshot(server: ScriptedServer, *names: str, cursor: str = "7-1") -> None:
    put = [task(name, k) for k, name in enumerate(names)]
    server.send(type="data", id="t", reset="new", put=put, cursor=cursor)
    server.until("tasks.synced")


def test_a_snapshot_shows_when_it_is_whole(scripted: ScriptedServer) -> None:
    scripted.connect()
    scripted.send(type="data", id="t", reset="new", put=[task("a")])
    scripted.until("tasks.arriving === 1")
    assert scripted.items() == {}
    scripted.send(type="data", id="t", put=[task("b", 1)], cursor="7-1")
    scripted.until("tasks.synced")
    assert list(scripted.items()) == ["b", "a"]


def test_changes_put_and_delete(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a", "b")
    put = [{**task("a"), "state": "SUCCESS"}]
    scripted.send(type="data", id="t", put=put, **{"del": ["b"]}, cursor="7-2")
    scripted.until("tasks.items.size === 1")
    assert scripted.items()["a"]["state"] == "SUCCESS"


def test_an_item_keeps_its_place(scripted: ScriptedServer) -> None:
    """A task that is received long after it was submitted does not jump."""
    scripted.connect()
    early = {"id": "a", "submitted_at": "2026-11-22T09:00:00.000Z"}
    put = [early, task("b")]
    scripted.send(type="data", id="t", reset="new", put=put, cursor="7-1")
    scripted.until("tasks.synced")
    scripted.send(type="data", id="t", put=[task("a", 30)], cursor="7-2")
    scripted.until("tasks.items.get('a').received_at")
    assert list(scripted.items()) == ["b", "a"]


@pytest.mark.parametrize("code", [1001, 1012, 1013, 4008, 4399])
def test_a_lost_connection_resumes_at_the_last_cursor(
    scripted: ScriptedServer, code: int
) -> None:
    scripted.connect()
    assert "since" not in scripted.until_asked(1)
    snapshot(scripted, "a", cursor="7-1")
    scripted.send(type="data", id="t", put=[task("b", 1)], cursor="7-2")
    scripted.until("tasks.items.size === 2")
    scripted.close(code)
    assert scripted.until_asked(2)["since"] == "7-2"
    scripted.send(type="data", id="t", put=[task("c", 2)], cursor="7-3")
    scripted.until("tasks.items.size === 3")
    assert "reconnecting" in scripted.page.evaluate("words")
    scripted.until("client.state.word === 'live'")


def test_a_bookmark_moves_a_quiet_subscription(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a")
    scripted.send(type="cursor", cursor="7-9", lag_ms=12)
    scripted.until("client.state.lagMs === 12")
    scripted.close(1012)
    assert scripted.until_asked(2)["since"] == "7-9"


def test_a_loss_amid_a_snapshot_asks_for_a_whole_one(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a")
    scripted.send(type="data", id="t", reset="slow", put=[task("b")])
    scripted.until("tasks.arriving === 1")
    scripted.close(4008)
    assert "since" not in scripted.until_asked(2)
    assert list(scripted.items()) == ["a"]


def test_a_reset_forgets_what_was_before(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a", "b")
    put = [task("c")]
    scripted.send(type="data", id="t", reset="epoch", put=put, cursor="8-1")
    scripted.until("changes.at(-1).reset === 'epoch'")
    assert list(scripted.items()) == ["c"]


def test_frames_of_the_filter_before_are_not_mixed_in(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a")
    scripted.page.evaluate("tasks.update({ filter: { state: ['FAILURE'] } })")
    asked = scripted.until_asked(2)
    assert asked["filter"] == {"state": ["FAILURE"]}
    assert "since" not in asked
    scripted.send(type="data", id="t", put=[task("old")], cursor="7-2")
    snapshot(scripted, "f", cursor="7-3")
    assert list(scripted.items()) == ["f"]


def test_a_limit_keeps_the_newest_and_says_so(scripted: ScriptedServer) -> None:
    scripted.connect(limit=3)
    snapshot(scripted, "a", "b")
    assert scripted.page.evaluate("tasks.truncated") is False
    put = [task("c", 10), task("d", 11)]
    scripted.send(type="data", id="t", put=put, cursor="7-2")
    scripted.until("tasks.truncated")
    assert list(scripted.items()) == ["d", "c", "b"]


def test_a_cut_off_list_that_ran_low_is_read_again(scripted: ScriptedServer) -> None:
    """Older tasks match too; showing only what is left of the newest would lie."""
    scripted.connect(limit=3)
    snapshot(scripted, "a", "b", "c")
    scripted.send(type="data", id="t", **{"del": ["b", "c"]}, cursor="7-2")
    assert "since" not in scripted.until_asked(2)


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4429])
def test_a_refusal_stops_and_says_why(scripted: ScriptedServer, code: int) -> None:
    scripted.connect()
    scripted.close(code, "The token has expired.")
    scripted.until("client.state.word === 'refused'")
    state = scripted.page.evaluate("client.state")
    assert (state["code"], state["reason"]) == (code, "The token has expired.")
    scripted.page.wait_for_timeout(150)
    assert len(scripted.sockets) == 1


def test_a_server_that_says_bye_decides_the_pause(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a")
    scripted.page.evaluate(
        """() => {
            client.observe(({ word }) => { window[word] = performance.now(); });
        }"""
    )
    scripted.send(type="bye", code=1012, reconnect_in_ms=900)
    scripted.close(1012)
    scripted.until_asked(2)
    waited = scripted.page.evaluate("live - reconnecting")
    assert waited >= 890


def test_a_server_without_news_is_not_a_loss(scripted: ScriptedServer) -> None:
    scripted.greeting = {"type": "hello", "v": 1, "heartbeat": 0.7}
    scripted.connect()
    snapshot(scripted, "a")
    scripted.until("Date.now() - client.state.since > 2600")
    assert len(scripted.sockets) == 1


def test_a_cursor_for_others_is_none_of_a_silent_subscription(
    scripted: ScriptedServer,
) -> None:
    """The server did not know of `t` when it told how far the others are."""
    scripted.connect()
    snapshot(scripted, "a", cursor="7-1")
    scripted.answers_pings = False
    scripted.close(1012)
    assert scripted.until_asked(2)["since"] == "7-1"
    scripted.send(type="cursor", cursor="7-9", lag_ms=12)
    scripted.until("client.state.lagMs === 12")
    scripted.close(1012)
    assert scripted.until_asked(3)["since"] == "7-1"


def test_a_cursor_on_another_subscription_ends_a_snapshot(
    scripted: ScriptedServer,
) -> None:
    scripted.connect()
    scripted.send(type="data", id="t", reset="new", put=[task("a")])
    scripted.send(type="data", id="other", reset="new", put=[], cursor="7-1")
    scripted.until("tasks.synced")
    assert list(scripted.items()) == ["a"]


def test_silence_counts_as_a_loss(scripted: ScriptedServer) -> None:
    """A half-open connection says nothing for minutes; nobody waits for it."""
    scripted.answers_pings = False
    scripted.greeting = {"type": "hello", "v": 1, "heartbeat": 0.2}
    scripted.connect()
    snapshot(scripted, "a")
    assert scripted.until_asked(2)["since"] == "7-1"


def test_a_server_that_says_nothing_is_asked_and_then_not_called_live(
    scripted: ScriptedServer,
) -> None:
    """The connection looks open for minutes: a suspended NAT, a stopped process."""
    scripted.connect()
    snapshot(scripted, "a")
    scripted.until("client.state.word === 'live'")
    pings = scripted.pings
    scripted.page.wait_for_function("Date.now() - client.state.heardAt > 1500")
    scripted.answers_pings = False
    scripted.page.wait_for_function(
        "client.state.word === 'silent'", timeout=20_000, polling=100
    )
    quiet = scripted.page.evaluate("Date.now() - client.state.heardAt")
    assert scripted.pings > pings
    assert 5_900 <= quiet < 12_000
    assert scripted.page.evaluate("client.state.since === client.state.heardAt")
    scripted.answers_pings = True
    scripted.send(type="cursor", cursor="7-2", lag_ms=4)
    scripted.until("client.state.word === 'live'")


def test_a_quiet_server_that_answers_stays_live(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a")
    scripted.page.wait_for_function(
        "client.state.heardAt - client.state.since > 7000", timeout=30_000, polling=100
    )
    assert "silent" not in scripted.page.evaluate("words")
    assert len(scripted.sockets) == 1


def test_what_is_behind_or_stale_is_not_called_live(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a")
    scripted.send(type="cursor", cursor="7-2", lag_ms=5_000)
    scripted.until("client.state.word === 'behind'")
    gap = {"id": "1", "since": "2026-11-22T10:00:00.000Z", "state": "open"}
    scripted.send(type="status", stale=True, lag_ms=10, gaps=[gap])
    scripted.until("client.state.word === 'stale'")
    assert scripted.page.evaluate("client.state.gaps") == [gap]
    scripted.send(type="status", stale=False, lag_ms=10, gaps=[])
    scripted.until("client.state.word === 'live'")


def test_a_refused_subscription_says_why(scripted: ScriptedServer) -> None:
    scripted.connect()
    message = "unknown key 'stat'; did you mean 'state'?"
    scripted.send(type="error", id="t", code="bad_filter", message=message, retry=False)
    scripted.until("tasks.error")
    assert scripted.page.evaluate("tasks.error.message") == message


def test_a_finished_watch_is_not_asked_for_again(scripted: ScriptedServer) -> None:
    scripted.connect(filter={"ids": ["a"]})
    snapshot(scripted, "a")
    scripted.send(type="done", id="t")
    scripted.until("tasks.done")
    scripted.close(1012)
    scripted.until("words.filter((word) => word === 'live').length === 2")
    assert len(scripted.asked) == 1


def test_unknown_frames_and_fields_are_passed_over(scripted: ScriptedServer) -> None:
    scripted.connect()
    scripted.send(type="weather", sun=True)
    snapshot(scripted, "a")
    assert scripted.page.evaluate("client.state.word") == "live"


def test_the_token_travels_as_a_subprotocol(scripted: ScriptedServer) -> None:
    scripted.page.goto("http://herald.test/blank")
    offered = scripted.page.evaluate(
        """async () => {
            const { connect } = await import("/herald.js");
            return new Promise((done) => {
                window.WebSocket = class {
                    constructor(url, offered) { done([url, offered]); }
                };
                connect({ url: "ws://herald.test/ws", token: "a/b+é?" }).close();
            });
        }"""
    )
    assert offered == ["ws://herald.test/ws", ["herald.v1", "bearer.YS9iK8OpPw"]]


def test_who_rests_hears_nothing_and_resumes(scripted: ScriptedServer) -> None:
    scripted.connect()
    snapshot(scripted, "a", cursor="7-1")
    scripted.page.evaluate("client.rest()")
    scripted.until("client.state.word === 'resting'")
    scripted.page.evaluate("client.open()")
    assert scripted.until_asked(2)["since"] == "7-1"
    scripted.send(type="cursor", cursor="7-1")
    scripted.until("client.state.word === 'live'")
