"""What kept the main thread of a page busy, read from a trace of Chromium."""

import json
from typing import Any

TRACED = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]


def longest_tasks(trace: bytes) -> tuple[list[int], list[int]]:
    """Return the longest tasks of the page's main thread in ms: by the clock, which
    others on the machine slow down, and by the processor time of the thread."""
    events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    (main,) = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
        if any(
            e["name"] == "UpdateLayoutTree" and e["pid"] == event["pid"] for e in events
        )
    }
    tasks = [
        (event["dur"] // 1_000, event.get("tdur", 0) // 1_000)
        for event in events
        if event["name"].endswith("RunTask") and event.get("ph") == "X"
        if (event["pid"], event["tid"]) == main
    ]
    return tuple(sorted(some)[-3:] for some in zip(*tasks, strict=True))  # type: ignore[return-value]
