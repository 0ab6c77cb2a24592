"""A duration in words. Pure."""

from __future__ import annotations


def humanize(seconds: float) -> str:
    """Return a number of seconds as text."""
    if seconds < 1:
        return f"{max(seconds * 1000, 1):.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
