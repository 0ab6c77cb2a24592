"""What every test server has: a token, a patience, no signals."""

from __future__ import annotations

import contextlib
from typing import Any

import uvicorn

TOKEN = "a-token-for-tests"
WITHIN = 30.0


class Quiet(uvicorn.Server):
    """Uvicorn without its own signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield
