"""Print the lowest version of each dependency that pyproject.toml allows.

python .ci/lowest.py > lowest.txt && pip install -c lowest.txt -e '.[dev]'
"""

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("server", "alerts", "otel")
BOUND = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?>=([0-9.]+)")


def lowest(project: Path) -> dict[str, str]:
    """Return package → lowest version. Raises `ValueError` where there is none."""
    about = tomllib.loads(project.read_text())["project"]
    found: dict[str, str] = {}
    extras = about["optional-dependencies"]
    chosen = [one for name in EXTRAS for one in extras[name]]
    for one in about["dependencies"] + chosen:
        bound = BOUND.match(one)
        if not bound:
            raise ValueError(f"{one!r} in {project} has no lower bound")
        found[bound[1].lower()] = bound[2]
    return found


if __name__ == "__main__":
    for name, version in lowest(Path(__file__).parents[1] / "pyproject.toml").items():
        sys.stdout.write(f"{name}=={version}\n")
