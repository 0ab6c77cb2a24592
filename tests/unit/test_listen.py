"""A port is taken from when it is asked for, not only once it is served on."""

from contextlib import closing

import pytest

from herald_server.serve import AddressTaken, listen


def test_a_port_that_another_server_is_about_to_use_is_refused() -> None:
    with closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(AddressTaken, match=f"port {port}: .*give another"):
            listen("127.0.0.1", port)


def test_processes_of_one_server_share_it() -> None:
    with closing(listen("127.0.0.1", 0, shared=True)) as first:
        listen("127.0.0.1", first.getsockname()[1], shared=True).close()
