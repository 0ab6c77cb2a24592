"""A provider of OpenID Connect from the package `oidc-provider-mock`, in a process.

Apart from the tests, since its libraries warn of one another.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator, Mapping

PROGRAM = """
import json, sys
import oidc_provider_mock as mock
people = [
    mock.User(sub=name, claims={"groups": groups})
    for name, groups in json.loads(sys.argv[1]).items()
]
with mock.run_server_in_thread(user_claims=people) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def run_provider(groups: Mapping[str, list[str]]) -> Generator[str]:
    """Run a provider of people with `groups`; give its issuer."""
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(groups)]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://localhost:{int(process.stdout.readline())}"
        process.stdin.close()
