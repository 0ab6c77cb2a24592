"""Check that a tag, the version and the changelog agree: `check_release.py v1.2.3`."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def find_fault(tag: str, version: str, changelog: str) -> str | None:
    """Return what must be changed before a release, in a sentence; None if nothing."""
    if tag != f"v{version}":
        return f"the tag is {tag}, and the version in pyproject.toml {version}"
    heading = re.compile(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", re.M)
    found = heading.search(changelog)
    if not found:
        return f"CHANGELOG.md has no heading `## [{version}] - YYYY-MM-DD`"
    entry = changelog[found.end() :].partition("\n## ")[0]
    if not re.search(r"^- ", entry, re.MULTILINE):
        return f"CHANGELOG.md says nothing of {version}"
    return None


if __name__ == "__main__":
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    fault = find_fault(sys.argv[1], version, (ROOT / "CHANGELOG.md").read_text())
    sys.exit(fault)
