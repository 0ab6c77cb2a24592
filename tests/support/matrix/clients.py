"""The clients of the matrix: how each is installed, and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.conformance.suite import (
    NODE,
    Unreachable,
    environment,
    installed,
)
from tests.support.matrix.table import Run

PROGRAMS = Path(__file__).parent / "programs"
INSTALL_TIMEOUT_S = 600.0
BOTH_ERAS = ("legacy", "auto")


@dataclass
class ClientProgram:
    """A client: its `packages` of PyPI, or of npm, and the program that uses it.

    `eras` are those that it can be told to speak; `has_oauth` and `has_stdio` say what
    its program can do.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    eras: tuple[str, ...] = ("legacy",)
    proof: str = ""
    """A file that npm's packages have; empty for packages of PyPI."""
    has_oauth: bool = True
    has_stdio: bool = True
    more: tuple[tuple[str, str], ...] = ()
    """Further variables of its environment."""
    place: Path = Path()
    """Where it is installed."""

    def list_runs(self) -> Iterator[Run]:
        """Yield all ways in which it can be used."""
        for era in self.eras:
            yield Run("http", "token", era)
            if self.has_oauth:
                yield Run("http", "oauth", era)
            if self.has_stdio:
                yield Run("stdio", "-", era)

    def install(self, place: Path) -> bool:
        """Install it below `place`; return False if it cannot be had."""
        self.place = place / self.name.replace(" ", "-")
        try:
            if self.proof:
                installed(self.place, self.packages, self.proof)
                # Packages are found from where the program is.
                for program in PROGRAMS.glob("*.mjs"):
                    (self.place / program.name).write_text(program.read_text())
            else:
                self._install_python()
        except (Unreachable, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{self.name} cannot be installed: {error}\n")
            return False
        return True

    def _install_python(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", self.place], check=True)
        pip = [self._python, "-m", "pip", "install", "-q", *self.packages]
        subprocess.run(pip, check=True, timeout=INSTALL_TIMEOUT_S, capture_output=True)

    @property
    def _python(self) -> str:
        return str(self.place / "bin" / "python")

    @property
    def command(self) -> list[str]:
        """The command that runs its program."""
        if self.program.endswith(".mjs"):
            return [str(NODE), str(self.place / self.program)]
        python = sys.executable if self.proof else self._python
        return [python, str(PROGRAMS / self.program)]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its program: nothing of Herald's own."""
        kept = {
            key: value
            for key, value in environment().items()
            if not key.startswith(("HERALD_", "PYTHONPATH", "VIRTUAL_ENV"))
        }
        if self.proof:
            kept["INSPECTOR"] = json.dumps(
                [str(NODE), str(self.place / "node_modules" / self.proof)]
            )
        return {**kept, **dict(self.more)}


def make_place() -> Path:
    """Return the directory of all clients, outside of the repository."""
    return Path(os.environ.get("HERALD_MATRIX_DIR") or tempfile.mkdtemp("-matrix"))


CLIENTS = [
    ClientProgram("fastmcp", ("fastmcp",), "fast.py", BOTH_ERAS),
    ClientProgram("mcp 2", ("mcp>=2,<3",), "mcp2.py", BOTH_ERAS),
    ClientProgram("mcp 1", ("mcp>=1,<2",), "mcp1.py"),
    ClientProgram(
        "TypeScript client",
        ("@modelcontextprotocol/client",),
        "ts.mjs",
        BOTH_ERAS,
        proof="@modelcontextprotocol/client/package.json",
        more=(("NEW", "1"),),
    ),
    ClientProgram(
        "TypeScript sdk",
        ("@modelcontextprotocol/sdk",),
        "ts.mjs",
        proof="@modelcontextprotocol/sdk/package.json",
    ),
    ClientProgram(
        "Inspector",
        ("@modelcontextprotocol/inspector",),
        "inspector_client.py",
        proof=".bin/mcp-inspector",
        has_oauth=False,
    ),
    ClientProgram("pydantic-ai", ("pydantic-ai-slim[mcp]",), "pydantic_ai_client.py"),
    ClientProgram("langchain", ("langchain-mcp-adapters",), "langchain_client.py"),
    ClientProgram("openai-agents", ("openai-agents",), "openai_client.py"),
]
