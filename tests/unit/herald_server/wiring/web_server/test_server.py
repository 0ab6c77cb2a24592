"""A port is taken from when it is asked for, not only once it is served on."""

import resource
from contextlib import closing

import pytest

from herald_server.wiring.web_server.listening import AddressInUse, listen
from herald_server.wiring.web_server.server import raise_file_limit


def test_a_port_that_another_server_is_about_to_use_is_refused() -> None:
    with closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"port {port}: .*give another"):
            listen("127.0.0.1", port)


def test_processes_of_one_server_share_it() -> None:
    with closing(listen("127.0.0.1", 0, shared=True)) as first:
        listen("127.0.0.1", first.getsockname()[1], shared=True).close()


def test_a_server_takes_as_many_as_it_may() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
