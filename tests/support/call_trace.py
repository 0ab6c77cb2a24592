"""The functions of Herald that are entered while something travels through it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeAlias

ROOT = Path(__file__).parents[2]
OURS = tuple(f"{ROOT / part}/" for part in ("monitor", "server"))

Calls: TypeAlias = dict[tuple[str, str], None]
"""(file, function) of each call, in order, each once."""


class CallTrace:
    """A profiler that records the functions of Herald in the order of their calls.

    A comprehension or lambda belongs to the function around it.
    """

    def __init__(self) -> None:
        self._calls: Calls = {}
        self._recording = False
        self._until_port = 0

    @contextlib.contextmanager
    def installed(self, *, threads: bool = False) -> Generator[None]:
        """Profile this thread; with `threads`, those as well that the block starts."""
        threading.setprofile(self._profile if threads else None)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def start(self, until_port: int = 0) -> None:
        """Record calls from now on, until a socket of port `until_port` is sent to."""
        self._calls.clear()
        self._until_port = until_port
        self._recording = True

    def add_stack(self, thread_name: str) -> None:
        """Record the calls that a thread is in the middle of."""
        [thread] = [one for one in threading.enumerate() if one.name == thread_name]
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        frame: FrameType | None = frames[thread.ident or 0]
        codes: list[CodeType] = []
        while frame is not None:
            codes.append(frame.f_code)
            frame = frame.f_back
        for code in reversed(codes):
            self._add(code)

    def stop(self) -> Calls:
        """Return the calls since `start`."""
        self._recording = False
        return dict(self._calls)

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        if not self._recording:
            return
        if event == "call":
            self._add(frame.f_code)
        elif event == "c_call" and self._until_port and arg.__name__ == "send":
            own_address: Any = getattr(arg.__self__, "getsockname", tuple)()
            # Of a Unix socket it is a text.
            if own_address[1:2] == (self._until_port,):
                self._recording = False

    def _add(self, code: CodeType) -> None:
        if code.co_filename.startswith(OURS):
            function = code.co_qualname.partition(".<locals>.<")[0]
            self._calls[code.co_filename, function] = None


def files(calls: Calls) -> set[str]:
    """Return the files of `calls`."""
    return {file for file, _ in calls}


def describe(calls: Calls) -> str:
    """Return `calls` as lines, and how many there are."""
    lines = [f"{Path(file).relative_to(ROOT)} {function}" for file, function in calls]
    return "\n".join([*lines, f"{len(calls)} functions, {len(files(calls))} files"])
