"""The layout of the tests: helpers in `tests/support`, and no test imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import ROOT

TESTS = ROOT / "tests"
SUITES = ("browser", "conformance", "contract", "e2e", "faults", "integration", "unit")
PACKAGES = {
    **dict.fromkeys(("herald_core", "herald_worker", "herald_monitor"), "monitor"),
    **dict.fromkeys(("herald_client", "herald_server"), "server"),
}
"""Where each package lies."""

MAX_HELPERS = 15
"""Modules in one folder of `tests/support`."""


def read_imports(path: Path) -> Iterator[str]:
    """Yield the full name of each module, and of each name, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_test_module(name: str) -> bool:
    """Return True if a dotted name leads into a test module or a conftest."""
    first, *others = name.split(".")
    return first == "tests" and any(
        part.startswith("test_") or part == "conftest" for part in others[:-1]
    )


def test_no_module_imports_a_test_module() -> None:
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in TESTS.rglob("*.py")
        for name in read_imports(path)
        if is_test_module(name)
    }
    assert not found


@pytest.mark.parametrize("folder", SUITES)
def test_helpers_lie_in_support(folder: str) -> None:
    names = {path.name for path in (TESTS / folder).rglob("*.py")}
    helpers = {name for name in names if not name.startswith("test_")}
    assert helpers <= {"__init__.py", "conftest.py"}


def test_a_folder_of_helpers_is_small() -> None:
    folders = [path for path in (TESTS / "support").rglob("*") if path.is_dir()]
    sizes = {path.name: len([*path.glob("*.py")]) for path in folders}
    assert max(sizes.values()) <= MAX_HELPERS


@pytest.mark.parametrize("package", PACKAGES)
def test_a_unit_test_lies_as_its_module_does(package: str) -> None:
    """It is called `test_MODULE.py`, or `test_MODULE_ASPECT.py`."""
    wrong: list[str] = []
    for path in (TESTS / "unit" / package).rglob("test_*.py"):
        folder = ROOT / PACKAGES[package] / path.parent.relative_to(TESTS / "unit")
        modules = {one.stem for one in folder.glob("*.py")} | {folder.name}
        words = path.stem.split("_")[1:]
        names = {"_".join(words[: n + 1]) for n in range(len(words))}
        wrong += [] if names & modules else [str(path.relative_to(TESTS))]
    assert not wrong
