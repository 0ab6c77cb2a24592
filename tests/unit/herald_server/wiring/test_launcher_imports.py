"""What `herald up` does without, until it is needed."""

import json
import subprocess
import sys

import pytest

LIST_MODULES = """
import json, sys
import {module}
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""

MCP = {"fastmcp", "mcp", "mcp_types"}
OPTIONAL = {"valkey", "apprise", "httpcore2", "joserfc", "rich"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("herald_server.wiring.web_server.server", MCP | OPTIONAL),
        ("herald_server.webhooks.delivery.dispatcher", MCP | OPTIONAL),
        # It starts the store and the monitor before the server is imported.
        ("herald_server.wiring.launcher", MCP | OPTIONAL | {"starlette", "uvicorn"}),
        ("herald_monitor.__main__", MCP | OPTIONAL | {"starlette", "jwt"}),
    ],
)
def test_a_process_imports_nothing_that_it_may_never_need(
    module: str, absent: set[str]
) -> None:
    words = [sys.executable, "-c", LIST_MODULES.format(module=module)]
    told = subprocess.run(words, capture_output=True, check=True, timeout=60)
    assert absent.isdisjoint(json.loads(told.stdout))


def test_a_server_imports_no_monitor() -> None:
    text = "import sys, herald_server.wiring.web_server.server\nprint(*sys.modules)"
    words = [sys.executable, "-c", text]
    told = subprocess.run(words, capture_output=True, check=True, timeout=60)
    assert b"herald_monitor.runtime.monitor" not in told.stdout.split()
