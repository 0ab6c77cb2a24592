"""A real nginx in front of a Herald, where there is one on this machine."""

import contextlib
import shutil
import socket
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from herald_monitor.child_process import end, spawn
from tests.servers import wait_until

# As server/README.md tells people to write it.
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
    server {{
        listen 127.0.0.1:{port};
        location {prefix}/ {{
            proxy_pass {target};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(url: str, prefix: str, strip: bool, place: Path) -> Generator[str]:
    """Serve what is at `url` below `prefix`; give the URL of that.

    `strip`: with a slash behind `proxy_pass`, which takes the prefix off.
    """
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    target = url if strip else url.rstrip("/")
    port = _free_port()
    conf = place / "nginx.conf"
    conf.write_text(CONF.format(place=place, port=port, prefix=prefix, target=target))
    process = spawn(
        [program, "-p", str(place), "-c", str(conf), "-e", "stderr"],
        place / "nginx.log",
    )
    public = f"http://127.0.0.1:{port}{prefix}/"
    try:
        wait_until(lambda: _listens(public), message="nginx listens")
        yield public
    finally:
        end(process, 2.0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((place.hostname, place.port)) == 0
