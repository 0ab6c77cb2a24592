"""What came of each run of the matrix, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STEPS = ("connect", "start", "wait", "cancel", "list")


class Run(NamedTuple):
    """One way to use a client."""

    transport: str
    auth: str
    era: str


@dataclass
class Outcome:
    """How far a run came, and why no further."""

    name: str
    run: Run
    steps: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    problem: str = ""

    @classmethod
    def read(
        cls, name: str, run: Run, code: int | None, said: bytes, wrong: bytes
    ) -> Outcome:
        """Return the outcome that a program printed."""
        steps: dict[str, dict[str, Any]] = {}
        for line in said.decode().splitlines():
            if line.startswith('{"step"'):
                told = json.loads(line)
                steps[told.pop("step")] = told
        problem = ""
        if set(steps) != set(STEPS):
            text = (wrong.decode() + said.decode()).strip()
            problem = f"exit code {code}: …{text[-600:]}"
        return cls(name, run, steps, problem)


def make_table(outcomes: Iterable[Outcome]) -> str:
    """Return a Markdown table, and the problems below it."""
    rows = ["| client | transport | auth | era | " + " | ".join(STEPS) + " |"]
    rows.append("|" + "---|" * (4 + len(STEPS)))
    problems: list[str] = []
    for one in outcomes:
        cells = [_show(one, step) for step in STEPS]
        rows.append("| " + " | ".join([one.name, *one.run, *cells]) + " |")
        if one.problem:
            problems.append(f"{one.name} {' '.join(one.run)}: {one.problem}")
    return "\n".join([*rows, *problems])


def _show(one: Outcome, step: str) -> str:
    if step not in one.steps:
        return "no"
    told = one.steps[step]
    if step == "wait":
        return f"{told['calls']} calls, {told['seconds']} s"
    return f"{told['tools']} tools" if "tools" in told else "ok"
