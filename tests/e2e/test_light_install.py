"""What `pip install celery-herald` brings, and what works with it alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from herald_server.cli.extras import INSTALL, SERVER_MODULES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MOST_PACKAGES = 12
"""Packages that a worker's environment gets beyond those of Celery."""

OF_USERS = {"sqlalchemy"}
"""Imported where a user's result backend needs it, so it is installed there."""

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def test_a_worker_gets_few_packages() -> None:
    brought = _closure(_names(PROJECT["dependencies"])) - _closure({"celery"})
    assert len(brought - {"celery"}) <= MOST_PACKAGES, brought


def test_the_worker_and_the_client_need_no_more() -> None:
    ran = _run("import herald_worker, herald_client; herald_worker.progress(1, 2)")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    ["tasks", "workers", "queues", "status", "watch", "wait", "start", "cancel"],
)
def test_commands_that_ask_a_server_need_no_more(command: str) -> None:
    ran = _herald(command, "--help")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("command", ["up", "demo", "server", "monitor", "mcp"])
def test_other_commands_say_what_to_install(command: str) -> None:
    ran = _herald(command)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert INSTALL in ran.stderr


def test_what_the_extra_brings_is_known_by_name() -> None:
    brought = _modules(_names(PROJECT["optional-dependencies"]["server"]))
    assert brought == SERVER_MODULES


def test_each_import_is_declared() -> None:
    extras = [
        one
        for name, listed in PROJECT["optional-dependencies"].items()
        if name not in ("dev", "audit")
        for one in listed
    ]
    declared = _modules(_names([*PROJECT["dependencies"], *extras]))
    imported = {name for file in _sources() for name in _imports(file)}
    ours = {name for name in imported if name.startswith("herald_")}
    assert imported - declared - ours - OF_USERS == set()


def _herald(*words: str) -> subprocess.CompletedProcess[str]:
    return _run(
        f"sys.argv = ['herald', *{list(words)!r}]\n"
        "from herald_server.cli.main import main; main()"
    )


def _run(program: str) -> subprocess.CompletedProcess[str]:
    """Run `program` where only the packages of the plain installation exist."""
    kept = _modules(_closure(_names(PROJECT["dependencies"]))) | {"_distutils_hack"}
    ours = {name for name in _distributions() if name.startswith("herald_")}
    blocked = _distributions().keys() - kept - ours
    return subprocess.run(
        [sys.executable, "-c", BLOCKER.format(blocked=blocked) + program],
        capture_output=True,
        text=True,
        timeout=50,
    )


def _names(requirements: list[str]) -> set[str]:
    return {_normal(Requirement(text).name) for text in requirements}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(names: set[str]) -> set[str]:
    """Return the distributions that `names` need, themselves included."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= _required(name) - found
    return found


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each module; to look takes half a second."""
    return packages_distributions()


@cache
def _required(name: str) -> frozenset[str]:
    try:
        wanted = [Requirement(text) for text in requires(name) or ()]
    except PackageNotFoundError:
        return frozenset()
    return frozenset(
        _normal(one.name)
        for one in wanted
        if one.marker is None or one.marker.evaluate({"extra": ""})
    )


def _modules(distributions: set[str]) -> set[str]:
    """Return the modules of `distributions`; fastmcp's are those of what it needs."""
    meta = _required("fastmcp") if "fastmcp" in distributions else set[str]()
    return {
        module
        for module, owners in _distributions().items()
        if any(_normal(owner) in distributions | meta for owner in owners)
        and not module.startswith("_")
    }


def _sources() -> list[Path]:
    packages = [*ROOT.glob("monitor/herald_*"), *ROOT.glob("server/herald_*")]
    return [file for package in packages for file in package.rglob("*.py")]


def _imports(file: Path) -> set[str]:
    """Return the top modules that `file` imports, the standard library's left out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)
