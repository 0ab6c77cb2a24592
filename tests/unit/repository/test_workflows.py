"""Workflows: what they use is pinned, and what they call exists."""

import re
import runpy
import tomllib
from typing import Any

import pytest
import yaml

from tests.support.environment import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")
POE = re.compile(r"\bpoe ([\w-]+)")
FORMS = sorted((ROOT / ".github").rglob("*.yml"))
check_release: Any = runpy.run_path(str(ROOT / ".ci" / "check_release.py"))


@pytest.mark.parametrize("path", FORMS, ids=lambda one: one.name)
def test_a_file_is_yaml(path: Any) -> None:
    assert yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda one: one.name)
def test_actions_are_pinned_by_hash(path: Any) -> None:
    lines = [line.strip("- ") for line in path.read_text().splitlines()]
    used = [line for line in lines if line.startswith("uses:")]
    assert [line for line in used if not PINNED.search(line)] == []
    assert used


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda one: one.name)
def test_a_workflow_writes_nothing_unless_it_says_so(path: Any) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda one: one.name)
def test_no_token_stays_in_a_checkout(path: Any) -> None:
    """Other steps, and artifacts, could read it: `zizmor` calls it artipacked."""
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    checkouts = [one for one in steps if "checkout" in one.get("uses", "")]
    given = [one.get("with", {}).get("persist-credentials") for one in checkouts]
    assert given == [False] * len(checkouts)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda one: one.name)
def test_called_tasks_exist(path: Any) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    called = set(POE.findall(path.read_text()))
    assert called <= project["tool"]["poe"]["tasks"].keys()


CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "fault"),
    [
        ("v1.2.3", "1.2.3", CHANGELOG, None),
        ("v1.2.4", "1.2.3", CHANGELOG, "the tag is v1.2.4"),
        ("v1.2.4", "1.2.4", CHANGELOG, "no heading"),
        ("v1.2.3", "1.2.3", CHANGELOG.replace("- A thing.\n", ""), "says nothing"),
        ("v1.2.3", "1.2.3", CHANGELOG.replace(" - 2026-11-30", ""), "no heading"),
    ],
)
def test_a_release_needs_its_version_everywhere(
    tag: str, version: str, changelog: str, fault: str | None
) -> None:
    found = check_release["find_fault"](tag, version, changelog)
    assert found is None if fault is None else fault in found
