"""A real nginx in front of a Herald, where there is one on this machine."""

import contextlib
import os
import shutil
import socket
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

from herald_core.system.subprocesses import spawn, terminate
from tests.support.environment import missing
from tests.support.wait import wait_until

CONF = """
daemon off;
pid {place}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    {http}
}}
"""

# As server/docs/guides/run/operations.md tells people to write it.
SERVER = """
    server {{
        listen 127.0.0.1:{port};
        location {prefix}/ {{
            proxy_pass {target};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 60s;
        }}
    }}
"""


@contextlib.contextmanager
def nginx(url: str, prefix: str, strip: bool, place: Path) -> Generator[str]:
    """Serve what is at `url` below `prefix`; give the URL of that.

    `strip`: with a slash behind `proxy_pass`, which takes the prefix off.
    """
    target = url if strip else url.rstrip("/")
    port = free_port()
    server = SERVER.format(port=port, prefix=prefix, target=target)
    with serving_as(server, f"http://127.0.0.1:{port}{prefix}/", place) as public:
        yield public


@contextlib.contextmanager
def serving_as(http: str, public: str, place: Path) -> Generator[str]:
    """Run nginx with `http` in its `http` block, until the end of this block."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        missing("nginx")
        return
    conf = place / "nginx.conf"
    conf.write_text(CONF.format(place=place, http=http))
    process = spawn(
        [program, "-p", str(place), "-c", str(conf), "-e", "stderr"],
        place / "nginx.log",
    )
    try:
        wait_until(lambda: _listens(public), message="nginx listens")
        yield public
    finally:
        terminate(process, 2.0)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((place.hostname, place.port)) == 0
