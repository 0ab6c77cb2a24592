"""When nothing comes through the broker, and when that only looks so."""

from herald_monitor.ingest.stream_silence import MAX_STEP_S, StreamSilence

PROBE_S = 2.0


def read_in_vain(
    silence: StreamSilence, received_at: float, since: float, seconds: float
) -> float:
    """Read every 0.2 s and find nothing; return when that ends."""
    steps = round(seconds / 0.2)
    for step in range(steps + 1):
        silence.record_empty_read(received_at, since + step * 0.2)
    return since + steps * 0.2


def test_it_is_told_once_a_probe_is_overdue() -> None:
    silence = StreamSilence(PROBE_S)
    now = read_in_vain(silence, 10.0, 10.0, 3.4)
    assert not silence.is_long_since(10.0)
    read_in_vain(silence, 10.0, now, 0.2)
    assert silence.is_long_since(10.0)


def test_any_message_ends_it() -> None:
    silence = StreamSilence(PROBE_S)
    now = read_in_vain(silence, 10.0, 10.0, 4.0)
    assert not silence.is_long_since(now)
    read_in_vain(silence, now, now, 3.4)
    assert not silence.is_long_since(now)


def test_time_in_which_this_process_did_not_run_is_no_silence() -> None:
    silence = StreamSilence(PROBE_S)
    for day in range(3):
        silence.record_empty_read(10.0, 10.0 + day * 86_400)
    assert not silence.is_long_since(10.0)
    assert 3 * MAX_STEP_S <= 1.75 * PROBE_S
