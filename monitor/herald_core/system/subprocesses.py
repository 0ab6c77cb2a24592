"""Child processes that do not outlive us, whatever happens to us."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from herald_core.system.private_files import open_private

# Linux signals a child when its parent dies, if the child requests it. A `preexec_fn`
# would run between fork and exec of a process with threads, which may deadlock. So a
# fresh Python requests it, and then becomes the program.
PDEATHSIG_PRELUDE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def spawn(
    command: Sequence[str],
    log: Path | None,
    *,
    env: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
    umask: int = -1,
) -> "subprocess.Popen[bytes]":
    """Start `command` in a session of its own; its output goes to `log`.

    Without a `log` it goes to our standard error. Only this user may read the log;
    `umask` is the umask of the child (-1: the same as ours).

    On Linux the child gets SIGTERM when this process dies, even by SIGKILL; on other
    systems that is up to the caller's `atexit`. Ctrl-C in the terminal does not reach
    it: the caller must end it. The child inherits the file descriptors `keep`. Raises
    `OSError`.
    """
    started: list[subprocess.Popen[bytes] | OSError] = []
    ready = threading.Event()

    def own() -> None:
        # Linux sends the signal at the end of the starting thread, not of the parent
        # process. So this thread lives as long as the child.
        process = _try_start(_bind_to_parent(command), log, env, keep, umask)
        started.append(process)
        ready.set()
        if not isinstance(process, OSError):
            process.wait()

    threading.Thread(target=own, name=f"child {command[0]}", daemon=True).start()
    ready.wait()
    [result] = started
    if isinstance(result, OSError):
        raise result
    return result


def terminate(process: "subprocess.Popen[bytes]", patience: float) -> bool:
    """Send SIGTERM, then SIGKILL after `patience` seconds; return False if killed."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        kill_group(process)
        return False
    return True


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and all that it started, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _try_start(
    command: Sequence[str],
    log: Path | None,
    env: Mapping[str, str] | None,
    keep: Sequence[int],
    umask: int,
) -> "subprocess.Popen[bytes] | OSError":
    try:
        with _open_log(log) if log else contextlib.nullcontext(2) as out:
            return subprocess.Popen(
                command,
                env=env,
                pass_fds=keep,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=umask,
            )
    except OSError as error:
        return error


def _open_log(log: Path) -> IO[bytes]:
    return os.fdopen(open_private(log, os.O_WRONLY | os.O_APPEND), "ab")


def _bind_to_parent(command: Sequence[str]) -> list[str]:
    """Tie the command's life to ours, where the system can."""
    if not sys.platform.startswith("linux") or not sys.executable:
        return list(command)
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        PDEATHSIG_PRELUDE,
        str(os.getpid()),
        *command,
    ]
