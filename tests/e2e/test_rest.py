"""How often `herald up` asks its store while nothing happens."""

from collections import Counter
from pathlib import Path

import redis

from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

BEATS = 8
MAX_COMMANDS = 60
"""Commands of the store for each heartbeat of the monitor, one a second: those within
scripts count, and what is looked at every few seconds does too."""


def count_commands(client: redis.Redis) -> Counter[str]:
    """Return how often each command was executed."""
    told = client.info("commandstats")
    return Counter({name: int(stat["calls"]) for name, stat in told.items()})


def test_the_store_is_asked_little_while_nothing_happens(tmp_path: Path) -> None:
    with private_valkey() as broker, private_valkey() as stored:
        words = ("up", "--broker", broker.url, "--store", stored.url)
        herald = HeraldProcess(tmp_path / "log", *words, HERALD_LOG_LEVEL="ERROR")
        try:
            herald.start()
            with stored.client() as client:
                beats = count_commands(client)["cmdstat_xadd"]

                def have_passed(number: int) -> bool:
                    return count_commands(client)["cmdstat_xadd"] >= beats + number

                # What a start brings is over.
                wait_until(lambda: have_passed(3), 60, "the monitor beats")
                before = count_commands(client)
                wait_until(lambda: have_passed(3 + BEATS), 90, "the monitor beats")
                after = count_commands(client)
        finally:
            herald.stop()
    done = after - before
    del done["cmdstat_info"]  # ours
    del done["cmdstat_hgetall"]  # each minute of the last day, once
    assert done.total() <= MAX_COMMANDS * done["cmdstat_xadd"], done.most_common(12)
    # The store is no place to wait at.
    assert done["cmdstat_evalsha"] <= 10 * done["cmdstat_xadd"], done.most_common(12)
