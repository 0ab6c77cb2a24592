"""A real Prometheus, where there is one on this machine."""

import contextlib
import json
import math
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from herald_core.system.subprocesses import spawn, terminate
from tests.support.environment import missing
from tests.support.servers.nginx import free_port
from tests.support.wait import wait_until

Labels = frozenset[tuple[str, str]]
Values = dict[Labels, float]


class Prometheus:
    """Its HTTP API at `url`."""

    def __init__(self, port: int) -> None:
        self.target = f"127.0.0.1:{port}"
        self._url = f"http://{self.target}"
        self._client = httpx2.Client(timeout=20, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def is_ready(self) -> bool:
        """Return True if it answers queries."""
        try:
            return self._client.get(f"{self._url}/-/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def query(self, expression: str, at: float | None = None) -> Values:
        """Return the vector of `expression` at `at` (unix seconds; None: now)."""
        params = {"query": expression} | ({} if at is None else {"time": str(at)})
        result = self._get("query", params)["result"]
        return {
            frozenset(one["metric"].items()): float(one["value"][1]) for one in result
        }

    def list_label_values(self, label: str, selector: str) -> list[str]:
        """Return what Grafana's `label_values(selector, label)` lists."""
        values: list[str] = self._get(f"label/{label}/values", {"match[]": selector})
        return values

    def _get(self, path: str, params: Mapping[str, str]) -> Any:
        answer = self._client.get(f"{self._url}/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@contextlib.contextmanager
def prometheus(
    place: Path, jobs: Sequence[Mapping[str, Any]], interval_s: float
) -> Generator[Prometheus]:
    """Run a Prometheus that scrapes `jobs` every `interval_s` seconds."""
    program = shutil.which("prometheus")
    if program is None:
        missing("prometheus")
        return
    place.mkdir()
    interval = f"{round(interval_s * 1000)}ms"
    scrape = {"scrape_interval": interval, "scrape_timeout": interval}
    config = place / "prometheus.yml"
    config.write_text(json.dumps({"global": scrape, "scrape_configs": [*jobs]}))
    port = free_port()
    options = {
        "config.file": str(config),
        "storage.tsdb.path": str(place / "data"),
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "warn",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    process = spawn([program, *words], place / "prometheus.log")
    server = Prometheus(port)
    try:
        wait_until(server.is_ready, 30, f"it is ready; see {place}/prometheus.log")
        yield server
    finally:
        server.close()
        terminate(process, 5.0)


def make_federation_job(source: Prometheus, selector: str) -> dict[str, Any]:
    """Return a job that reads all of `selector` at one time from `source`.

    So all series have samples of the same times, whichever target they come from.
    """
    return {
        "job_name": "federation",
        "honor_labels": True,
        "honor_timestamps": False,
        "metrics_path": "/federate",
        "params": {"match[]": [selector]},
        "static_configs": [{"targets": [source.target]}],
    }


def is_same(one: Values, other: Values) -> bool:
    """Return True if two vectors are equal; runtimes are kept in microseconds."""
    return one.keys() == other.keys() and all(
        math.isclose(value, other[key], rel_tol=1e-4, abs_tol=1e-4)
        or (math.isnan(value) and math.isnan(other[key]))
        for key, value in one.items()
    )
