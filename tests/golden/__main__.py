"""`python -m tests.golden --renew [WORDS]`: record the contract as it is now."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.golden.comparison import RENEW


def main(words: list[str]) -> int:
    """Run the tests; with `--renew` they record instead of comparing."""
    chosen = [word for word in words if word != "--renew"]
    if "--renew" in words:
        os.environ[RENEW] = "1"
    only = ["-k", " or ".join(chosen)] if chosen else []
    return pytest.main(["-q", str(Path(__file__).parent), *only])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
