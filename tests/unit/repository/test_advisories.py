"""No version that is allowed, pinned or installed has a fault that is known."""

import importlib.util
import re
import tomllib
from importlib.metadata import version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.environment import ROOT

FAULTS: list[dict[str, str]] = tomllib.loads(
    (ROOT / ".ci" / "advisories.toml").read_text()
)["fault"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LISTED = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["server"]
REQUIRED = [Requirement(one) for one in LISTED]


def pinned() -> dict[str, str]:
    """Return package → version of what CI installs."""
    lines = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    pairs = (line.partition("==") for line in lines)
    return {canonicalize_name(name): pin for name, _, pin in pairs}


def lowest() -> dict[str, str]:
    """Return package → lowest version, as `.ci/lowest.py` prints them."""
    spec = importlib.util.spec_from_file_location("lowest", ROOT / ".ci" / "lowest.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, str] = module.lowest(ROOT / "pyproject.toml")
    return found


LOWEST = lowest()
IDS = [f"{fault['package']}-{fault['fixed']}" for fault in FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_the_fault_is_mended(fault: dict[str, str]) -> None:
    name, fixed = fault["package"], Version(fault["fixed"])
    assert Version(LOWEST[name]) >= fixed, f"pyproject.toml: {fault}"
    assert Version(pinned()[name]) >= fixed, f"constraints.txt: {fault}"
    assert Version(version(name)) >= fixed, f"installed: {fault}"


def test_each_fault_is_named_by_its_advisory() -> None:
    for fault in FAULTS:
        named = re.fullmatch(r"CVE-\d{4}-\d{4,}|GHSA-[\w-]{14}", fault["id"])
        assert named or fault["what"].startswith("No advisory:"), fault


@pytest.mark.parametrize("required", REQUIRED, ids=lambda one: str(one.name))
def test_what_ci_installs_is_what_pyproject_allows(required: Requirement) -> None:
    assert Version(pinned()[required.name.lower()]) in required.specifier
    assert Version(LOWEST[required.name.lower()]) in required.specifier
