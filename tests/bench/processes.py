"""Processes of the bench that wait for the word to begin."""

import json
import os
import subprocess
import sys

from tests.support.environment import ROOT


class PipedProcess:
    """A Python process that says `ready`, and begins with the line that it gets."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._read_line() == "ready"

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def read_seconds(self) -> float:
        """Wait for its end; return how long it says that it took."""
        took = float(json.loads(self._read_line()))
        self._process.communicate(timeout=10)
        return took

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        assert line, "the process ended without a word"
        return line
