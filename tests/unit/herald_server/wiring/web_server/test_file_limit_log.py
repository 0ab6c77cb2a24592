"""That no more files may be opened is said once a minute, without a traceback."""

import asyncio
import logging

import pytest

from herald_server.wiring.web_server.file_limit_log import (
    LOG_INTERVAL_S,
    NO_FILES_MESSAGE,
    log_file_limit,
)

pytestmark = pytest.mark.anyio


async def test_it_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    loop, now = asyncio.get_running_loop(), [0.0]
    log_file_limit(loop, lambda: now[0])
    error = OSError(24, "Too many open files")
    try:
        for now[0] in (
            0.0,
            1.0,
            LOG_INTERVAL_S - 1,
            LOG_INTERVAL_S,
            LOG_INTERVAL_S + 1,
        ):
            loop.call_exception_handler(
                {"message": NO_FILES_MESSAGE, "exception": error}
            )
        assert [one.name for one in caplog.records] == [
            "herald_server.wiring.web_server.file_limit_log"
        ] * 2
        assert "Too many open files" in caplog.text
        assert "ulimit -n" in caplog.text
        assert not any(one.exc_info for one in caplog.records)
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            loop.call_exception_handler({"message": "else", "exception": error})
        assert [one.name for one in caplog.records] == ["asyncio"]
    finally:
        loop.set_exception_handler(None)
