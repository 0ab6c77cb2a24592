"""The published boards over targets that watch one workload."""

import contextlib
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from tests.support.clients.http import WITH_TOKEN
from tests.support.metrics.celery_mixin import (
    CELERY_JOBS,
    LABELS,
    list_queries,
    list_variables,
    read_alerts,
    read_board_values,
)
from tests.support.metrics.prometheus import (
    Prometheus,
    Values,
    make_federation_job,
    prometheus,
)
from tests.support.metrics.shop_work import ShopWork, read_counts
from tests.support.wait import wait_until

SCRAPES_PER_SAMPLE = 5
"""What is sent after one sample must have been scraped by the next."""

WINDOW = "2m"
BURST_NUMBER = 3
MAX_BURSTS = 5
LAST_TIMES = "max(timestamp(celery_worker_up)) by (job)"


class Boards:
    """Reads the boards of each of `targets`: the name of a job → `HOST:PORT`.

    `source` scrapes the targets, and `server` reads all that at a time: the samples of
    all targets have the same times, so that their rates can be compared.
    """

    def __init__(
        self,
        source: Prometheus,
        server: Prometheus,
        targets: Mapping[str, str],
        work: ShopWork,
    ) -> None:
        self._source = source
        self._server = server
        self._targets = targets
        self._work = work

    def send_burst(self) -> float:
        """Send tasks that one sample counts whole; return its time (unix seconds)."""
        for _ in range(MAX_BURSTS):
            before = self.wait_for_sample()
            self._work.send_all(BURST_NUMBER)
            self._wait_until_scraped()
            if self._read_time() == before:
                return self.wait_for_sample()
        raise AssertionError("never counted between two samples")

    def wait_for_sample(self) -> float:
        """Wait until a sample has all that was sent; return its time."""
        self._wait_until_scraped()
        now = time.time()
        return wait_until(self._read_time, message="a sample", accept=now.__lt__)

    def _wait_until_scraped(self) -> None:
        for address in self._targets.values():
            wait_until_counted(address, self._work)
        now = time.time()
        wait_until(
            lambda: self._source.query(LAST_TIMES).values(),
            message="scraped",
            accept=lambda times: sum(at > now for at in times) == len(self._targets),
        )

    def _read_time(self) -> float:
        return max(self._server.query(LAST_TIMES).values(), default=0.0)

    def read(self, job: str, at: float) -> dict[str, Values]:
        """Return the vectors of all queries, for `job`, at a time."""
        return {
            query.replace(job, "$job"): read_board_values(self._server, query, at)
            for query in list_queries(job, WINDOW)
        }

    def read_alerts(self, at: float) -> dict[str, dict[str, Values]]:
        """Return alert → job → what its expression selects at a time."""
        return read_alerts(self._server, at)

    def list_variables(self, job: str) -> dict[str, list[str]]:
        """Return what the variables of the boards offer."""
        return list_variables(self._server, job)


@contextlib.contextmanager
def boards(
    place: Path, targets: Mapping[str, str], work: ShopWork, scrape_s: float
) -> Generator[Boards]:
    """Run a Prometheus for the boards of `targets`, and scrape these.

    Every `scrape_s` seconds, the time that a target may take to answer.
    """
    for address in targets.values():
        wait_until_counted(address, work)
    jobs = [
        {
            "job_name": name,
            "authorization": {
                "credentials": WITH_TOKEN["Authorization"].partition(" ")[2]
            },
            "static_configs": [{"targets": [address], "labels": LABELS}],
        }
        for name, address in targets.items()
    ]
    with prometheus(place / "source", jobs, scrape_s) as source:
        federation = make_federation_job(source, f'{{job=~"{CELERY_JOBS}"}}')
        every = scrape_s * SCRAPES_PER_SAMPLE
        with prometheus(place / "boards", [federation], every) as server:
            yield Boards(source, server, targets, work)


def wait_until_counted(address: str, work: ShopWork) -> None:
    """Wait until a target has counted all of `work`."""

    def find_wrong() -> dict[tuple[str, str], tuple[float, float]]:
        found = read_counts(address)
        return {
            key: (found[key], value)
            for key, value in work.expected.items()
            if found[key] != value
        }

    wait_until(find_wrong, 60, f"counted by {address}", accept=lambda wrong: not wrong)
