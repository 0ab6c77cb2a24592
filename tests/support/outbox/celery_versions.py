"""Other versions of Celery, each in a virtual environment of its own, for tests.

Made on first use in the folder for temporary files, and kept there. `herald_worker` is
found by the path: it needs nothing but celery and redis.
"""

import json
import os
import subprocess
import tempfile
import venv
from pathlib import Path

from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.environment import ROOT

VERSIONS = {
    "5.3": ("celery==5.3.*", "kombu==5.3.4", "redis==6.4.*"),
    "5.4": ("celery==5.4.*", "redis==6.4.*"),
    "5.5": ("celery==5.5.*", "redis==6.4.*"),
    "5.6": ("celery==5.6.*", "redis"),
    "5.7": ("celery==5.7.*", "redis"),
}
"""What is installed for each version; the first with the oldest that is allowed."""

BESIDES = ("packaging", "gevent", "eventlet")
"""What the Redis transport of kombu needs, and the pools."""

SHOP = """
import os
from celery import Celery
import herald_worker

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = 1

@app.task
def pay(amount): return amount * 2

@app.task
def refuse(reason): raise ValueError(reason)

@app.task(bind=True, max_retries=3)
def ship(self, tries):
    if self.request.retries < tries:
        raise self.retry(countdown=0)
    return self.request.retries

@app.task(ignore_result=True)
def note(steps):
    for step in range(1, steps + 1):
        herald_worker.progress(step, steps)

@app.task
def total(numbers): return sum(numbers)
"""

SEND = """
import json
from celery import chord, group
import herald_worker
from shop import app, note, pay, refuse, ship, total

herald_worker.install(app)
with herald_worker.tags("user:42"):
    sent = {
        "pay": pay.delay(2), "refuse": refuse.delay("no"), "ship": ship.delay(2),
        "note": note.delay(100), "body": chord([pay.s(1), pay.s(2)])(total.s()),
    }
for name in ("pay", "ship", "body"):
    sent[name].get(timeout=30)
print(json.dumps({name: one.id for name, one in sent.items()}))
"""


def make_python(version: str) -> str:
    """Return the Python of an environment with this version of Celery."""
    place = Path(tempfile.gettempdir()) / f"herald-celery-{version}"
    python, done = str(place / "bin" / "python"), place / "done"
    if not done.exists():
        venv.create(place, with_pip=True, clear=True)
        words = [python, "-m", "pip", "install", "-q", *VERSIONS[version], *BESIDES]
        subprocess.run(words, check=True, capture_output=True)
        done.touch()
    return python


class Shop:
    """A project in a folder of its own, with a worker of some version of Celery."""

    def __init__(self, python: str, place: Path, broker: str) -> None:
        (place / "shop.py").write_text(SHOP)
        self._python = python
        self._place = place
        self._env = {
            **{name: os.environ[name] for name in ("PATH", "HOME")},
            "BROKER": broker,
            "PYTHONPATH": str(ROOT / "monitor"),
        }

    def start_worker(self, pool: str) -> None:
        """Start a worker with the outbox, and nothing else for Herald."""
        words = [self._python, "-m", "celery", "--workdir", str(self._place)]
        words += ["-A", "shop", "worker", "-P", pool, "-c", "2", "-n", "w1@shop"]
        words += ["-I", "herald_worker.auto"]
        self._process = spawn(words, self._place / "worker.log", env=self._env)

    def send(self) -> dict[str, str]:
        """Send a task of each kind, and wait for most; return their ids."""
        ran = subprocess.run(
            [self._python, "-c", SEND],
            env=self._env,
            cwd=self._place,
            check=True,
            capture_output=True,
            text=True,
            timeout=50,
        )
        found: dict[str, str] = json.loads(ran.stdout)
        return found

    def stop_worker(self) -> None:
        """Ask the worker to end warmly, and kill what does not."""
        terminate(self._process, 10)
        kill_group(self._process)
