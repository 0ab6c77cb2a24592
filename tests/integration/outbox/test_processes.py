"""Producers: scripts that end at once, and processes that fork after they sent tasks.

A thread does not survive `fork()`, so each process has a writer of its own; and what a
process made just before its end is written before it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest
from celery import Celery

from herald_worker.outbox.connection import connect
from herald_worker.outbox.settings import OutboxSettings
from tests.support.celery.outbox_stream import OutboxReader
from tests.support.environment import ROOT
from tests.support.servers.redis import PrivateValkey

PREAMBLE = """
import multiprocessing, os, sys, threading, time
from celery import Celery
import herald_worker
from herald_worker.outbox.lookup import get_outbox

app = Celery("shop", broker=os.environ["BROKER"])
herald_worker.install(app)

def send(name, number=1):
    for _ in range(number):
        app.send_task(name)
"""

SCRIPTS = {
    "a script that ends at once": ("send('a', 300)", {"a": 300}),
    "a script that fails": ("send('a', 3)\nraise SystemExit(3)", {"a": 3}),
    "a fork before the first task": (
        """
if os.fork() == 0:
    send('child', 100)
    sys.exit()
os.wait()
send('parent', 100)
""",
        {"child": 100, "parent": 100},
    ),
    "a fork after many tasks": (
        """
send('parent', 200)
for _ in range(3):
    if os.fork() == 0:
        send('child', 50)
        sys.exit()
send('parent', 200)
for _ in range(3):
    os.wait()
""",
        {"child": 150, "parent": 400},
    ),
    # By the outbox alone: a fork may find the locks of Celery's pools held for ever.
    "a fork while threads make events": (
        """
send('parent')
outbox = get_outbox(app)

def make(name, number):
    for _ in range(number):
        outbox.put({"type": "task-sent", "name": name})

threads = [threading.Thread(target=make, args=('parent', 5000)) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(3):
    if os.fork() == 0:
        make('child', 20)
        sys.exit()
for thread in threads: thread.join()
for _ in range(3):
    assert os.wait()[1] == 0
""",
        {"child": 60, "parent": 15_001},
    ),
    "processes of multiprocessing": (
        """
send('parent', 10)
fork = multiprocessing.get_context("fork")
processes = [fork.Process(target=send, args=('child', 20)) for _ in range(3)]
for process in processes: process.start()
for process in processes: process.join()
""",
        {"child": 60, "parent": 10},
    ),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_each_process_writes_what_it_made(
    what: str, valkey: PrivateValkey, stream: OutboxReader
) -> None:
    program, expected = SCRIPTS[what]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREAMBLE + program],
        env={**os.environ, "BROKER": valkey.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.stderr == ""
    assert Counter(event["name"] for event in stream.read_events()) == expected


def test_the_end_of_a_script_does_not_wait_for_long(valkey: PrivateValkey) -> None:
    """The outbox' Redis is frozen: the script ends within the time to drain."""
    with valkey.client() as broker:
        broker.ping()
    frozen = PrivateValkey()
    frozen.start()
    assert frozen.pid is not None
    os.kill(frozen.pid, signal.SIGSTOP)
    env = {**os.environ, "BROKER": valkey.url, "HERALD_OUTBOX_URL": frozen.url}
    try:
        subprocess.run(
            [sys.executable, "-c", PREAMBLE + "send('a', 3)"],
            env={**env, "PYTHONPATH": str(ROOT)},
            timeout=30,
            check=True,
        )
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
        frozen.stop()


def test_a_child_does_not_wait_for_the_pool_that_the_writer_uses(
    valkey: PrivateValkey,
) -> None:
    """kombu closes the pools of its channels in each child of `multiprocessing`."""
    app = Celery("shop", broker=valkey.url)
    connection = connect(app, OutboxSettings())
    is_held, is_over = threading.Event(), threading.Event()

    def use_pool() -> None:
        with connection.client.connection_pool._lock:
            is_held.set()
            is_over.wait(30)

    thread = threading.Thread(target=use_pool)
    thread.start()
    is_held.wait(30)
    child = multiprocessing.get_context("fork").Process(target=len, args=((),))
    child.start()
    try:
        child.join(30)
        assert child.exitcode == 0
    finally:
        is_over.set()
        thread.join()
        child.kill()
        child.join()
        connection.close()
