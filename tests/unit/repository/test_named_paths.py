"""Paths of our files that documents and docstrings name exist."""

import re
from pathlib import Path

from tests.support.environment import ROOT

PATH = re.compile(r"`((?:\w+/)+[\w.-]+\.(?:py|md|js|toml|lua))`")

FOREIGN = ("celery/", "kombu/", "redis/", "django/")
"""Sources of libraries, which are named as where a rule comes from."""

BASES = (
    "",
    "monitor",
    "monitor/herald_core",
    "monitor/herald_core/store/redis",
    "monitor/herald_monitor",
    "monitor/herald_worker",
    "server",
    "server/herald_client",
    "server/herald_server",
    "server/herald_server/dashboard",
    "server/herald_server/dashboard/page",
    "tests",
)


def find_texts() -> list[Path]:
    """Return the documents and Python files of the repository."""
    parts = [ROOT / name for name in ("monitor", "server", "tests")]
    found = [*ROOT.glob("*.md")]
    for part in parts:
        found += [*part.rglob("*.md"), *part.rglob("*.py")]
    return found


def exists(text: Path, path: str) -> bool:
    """Return True if `path`, named in `text`, is a file of the repository."""
    bases = [ROOT / base for base in BASES]
    return any((base / path).exists() for base in [*bases, text.parent])


def test_every_path_that_is_named_exists() -> None:
    wrong = {
        f"{text.relative_to(ROOT)}: {path}"
        for text in find_texts()
        for path in PATH.findall(text.read_text(errors="replace"))
        if not path.startswith(FOREIGN) and not exists(text, path)
    }
    assert not wrong
