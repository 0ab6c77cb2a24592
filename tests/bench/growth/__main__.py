"""What grows with an installation: `python -m tests.bench.growth --out growth.json`.

Task names, workers, queues and tasks grow along one axis each, while the others stay.
Each case is a store of its own, filled first; then a monitor takes a flood, and a
server answers and pushes. What a run has measured is in the file at once, so that a run
that was stopped goes on with what is left; `--runs 3` measures each case three times in
all. `--page FILE` writes the tables into a page of the documentation, and `--svg FILE`
draws the curves; with `--report` nothing is measured. `--axes`, `--parts` and
`--most-tasks` choose, and `--names` those of the other axes: 10,000,000 tasks of 100
names take 6 GB and half an hour, and are too many to be pushed. It fails if a curve is
steeper than it may be.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tests.bench.growth.cases import AXES, FIGURES, PARTS, Case, list_cases
from tests.bench.growth.installation import measure
from tests.bench.growth.report import (
    draw_curves,
    list_curves,
    replace_tables,
    write_table,
)

Found = dict[str, dict[str, list[float]]]


def main() -> int:
    """Measure what the command line asks for; return the exit code."""
    given = _parse()
    found: Found = json.loads(given.out.read_text()) if given.out.exists() else {}
    base = Case(names=given.names)
    until = time.monotonic() + given.minutes * 60
    for run in range(0 if given.report else given.runs):
        for case in list_cases(given.axes, given.most_tasks, base):
            if time.monotonic() > until:
                print("the time is over; the next run goes on from here")
                return 1
            _measure_case(case, run, given, found)
    curves = list_curves(found, given.most_tasks, base)
    print(write_table(curves))
    if given.svg:
        given.svg.write_text(draw_curves(curves))
    if given.page:
        text = given.page.read_text()
        given.page.write_text(replace_tables(text, write_table(curves)))
    steep = [f"{one.figure} by {one.axis}" for one in curves if one.is_steep]
    print("Steeper than n log n:", ", ".join(steep) or "nothing")
    return 1 if steep else 0


def _measure_case(
    case: Case, run: int, given: argparse.Namespace, found: Found
) -> None:
    """Measure the parts of a case that this run has not measured yet."""
    known = found.setdefault(case.key, {})
    parts = [
        part
        for part in given.parts
        if any(
            len(known.get(name, [])) <= run
            for name, figure in FIGURES.items()
            if figure.part == part
        )
    ]
    if not parts:
        return
    begun = time.monotonic()
    for name, value in measure(case, parts).items():
        known.setdefault(name, []).append(round(value, 3))
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    told = {name: values[-1] for name, values in known.items()}
    print(f"{case}: {told} in {time.monotonic() - begun:.0f} s", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--axes", type=_split, default=list(AXES))
    parser.add_argument("--parts", type=_split, default=list(PARTS))
    parser.add_argument("--most-tasks", type=int, default=AXES["tasks"][-1])
    parser.add_argument("--names", type=int, default=Case().names)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    for one, known in ((given.axes, AXES), (given.parts, PARTS)):
        if unknown := set(one) - set(known):
            parser.error(f"no {unknown}; give some of {', '.join(known)}")
    return given


def _split(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
