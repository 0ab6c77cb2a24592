"""Celery projects as their frameworks' documentation writes them, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from herald_core.system.subprocesses import kill_group, spawn
from tests.support.environment import ROOT
from tests.support.herald.process import HeraldProcess
from tests.support.wait import wait_until

TASKS = """
from celery import shared_task

@shared_task
def add(x, y):
    return x + y

@shared_task
def fail(why):
    raise ValueError(why)
"""

PLAIN = """
import os
from celery import Celery
app = Celery("shop", broker=os.environ["BROKER"], include=["shop_tasks"])
app.conf.update(task_send_sent_event=True, result_extended=True)
"""

DJANGO = {
    "shop/__init__.py": "from .celery import app as celery_app\n",
    "shop/celery.py": """
import os
from celery import Celery
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
""",
    "shop/settings.py": """
import os
SECRET_KEY = "x"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "django_celery_results",
    "django_celery_beat", "orders",
]
DATABASES = {"default": {"ENGINE": os.environ["ENGINE"], "NAME": os.environ["NAME"],
    "HOST": "127.0.0.1", "USER": "postgres"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = os.environ["USE_TZ"] == "1"
TIME_ZONE = "Europe/Berlin"
CELERY_TIMEZONE = TIME_ZONE
CELERY_BROKER_URL = os.environ["BROKER"]
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_SEND_SENT_EVENT = CELERY_RESULT_EXTENDED = True
""",
    "orders/__init__.py": "",
    # It wants the apps to be loaded, as most modules of tasks do.
    "orders/tasks.py": "from django_celery_results.models import TaskResult\n" + TASKS,
    "client.py": "import django\ndjango.setup()\n"
    "from shop.celery import app\nfrom orders.tasks import add, fail\n",
}

FLASK = {
    "shop_tasks.py": TASKS,
    "shop_web.py": """
import os
from celery import Celery, Task
from flask import Flask

def celery_init_app(app):
    class FlaskTask(Task):
        def __call__(self, *args, **kwargs):
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app

def create_app():
    app = Flask(__name__)
    app.config.from_mapping(CELERY=dict(
        broker_url=os.environ["BROKER"], result_backend=os.environ["BACKEND"],
        include=["shop_tasks"], task_send_sent_event=True,
    ))
    celery_init_app(app)
    return app
""",
    "shop.py": "from shop_web import create_app\n"
    'flask_app = create_app()\ncelery_app = flask_app.extensions["celery"]\n',
    "client.py": "from shop import celery_app as app\nfrom shop_tasks import *\n",
}

FASTAPI = {
    "shop_tasks.py": TASKS,
    "shop_settings.py": "import os\nbroker_url = os.environ['BROKER']\n"
    "result_backend = os.environ['BACKEND']\nimports = ('shop_tasks',)\n",
    "shop.py": """
from celery import Celery
from fastapi import FastAPI
app = FastAPI()
celery = Celery("shop", config_source="shop_settings")

@app.post("/orders")
def order():
    return {"id": celery.send_task("shop_tasks.add", (1, 2)).id}
""",
    "client.py": "from shop import celery as app\nfrom shop_tasks import *\n",
}

SEND = """
from client import *
import json
ids = [add.delay(1, 2).id, fail.delay("no").id]
print(json.dumps(ids))
"""

STATES = """
import json, sys
from client import *
print(json.dumps([app.AsyncResult(one).state for one in {ids}]))
"""


class Project:
    """A project in a folder of its own: its client, its worker, and Herald."""

    def __init__(
        self, place: Path, files: dict[str, str], app: str, **env: str
    ) -> None:
        self.place = place
        self._app = app
        self._env = {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}", **env}
        for name, text in files.items():
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._worker: subprocess.Popen[bytes] | None = None
        self.herald = HeraldProcess(
            place / "herald.log", "up", "-A", app, **cast(Any, self._env)
        )

    def python(self, code: str) -> str:
        """Run `code` as a program of the project; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.place,
            env={**os.environ, **self._env},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert not done.returncode, done.stderr
        return done.stdout.strip()

    def start_worker(self, *extra: str) -> None:
        """Start a worker with two threads and events."""
        command = [sys.executable, "-m", "celery", "--workdir", str(self.place)]
        command += ["-A", self._app, "worker", "-E", "-P", "threads", "-c", "2"]
        log = self.place / "worker.log"
        env = {**os.environ, **self._env}
        self._worker = spawn([*command, "-l", "INFO", *extra], log, env=env)
        wait_until(lambda: " ready." in log.read_text(), 60, f"{log} says ready")

    def stop(self) -> None:
        """End all that was started."""
        self.herald.stop()
        if self._worker is not None:
            kill_group(self._worker)

    def send(self) -> list[str]:
        """Send a task that succeeds and one that fails; return their ids."""
        found: list[str] = json.loads(self.python(SEND))
        return found

    def stored(self, ids: list[str]) -> list[str]:
        """Return the states that the project's own backend has."""
        found: list[str] = json.loads(self.python(STATES.format(ids=ids)))
        return found

    def known(self, ids: list[str]) -> list[dict[str, Any] | None]:
        """Return what Herald knows of tasks."""
        found = self.herald.tasks()
        return [found.get(one) for one in ids]

    def are_final(self, ids: list[str]) -> bool:
        """Return True if Herald says of all that they are over."""
        return all(task and task.get("final") for task in self.known(ids))
