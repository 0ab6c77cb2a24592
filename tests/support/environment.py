"""Where the repository is, and what this machine must have."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DOCS = ROOT / "server" / "docs"
"""The pages of the documentation."""


def missing(what: str) -> None:
    """Skip the test for want of `what`; fail where everything must be there."""
    if os.environ.get("HERALD_TEST_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is not reachable, and HERALD_TEST_REQUIRE_ALL=1")
    pytest.skip(f"{what} is not reachable")
