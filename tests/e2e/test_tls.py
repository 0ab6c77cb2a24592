"""TLS that a server speaks itself, without a proxy."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from herald_core.errors import InvalidInput
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.tls import check_tls
from tests.support.clients.http import WITH_TOKEN
from tests.support.clients.websocket import connected
from tests.support.herald.server import serving
from tests.support.servers.certificate import write_certificate
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    """Where the store is."""
    return module_valkey.url


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key, in one file."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "cert.pem")


async def test_all_doors_speak_tls(url: str, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    async with serving(url, tls_cert=certificate) as server:
        assert server.url.startswith("https://127.0.0.1:")
        await server.tell("received", "t", name="n")
        async with httpx2.AsyncClient(verify=context, headers=WITH_TOKEN) as http:
            answer = await http.get(f"{server.url}api/v1/tasks/t")
            assert answer.json()["name"] == "n"
            origin = {"Origin": server.url.rstrip("/")}
            answer = await http.get(f"{server.url}api/v1/tasks", headers=origin)
            assert answer.status_code == 200
            async with http.stream("GET", f"{server.url}events") as stream:
                async for part in stream.aiter_text():
                    if '"id":"t"' in part:
                        break
        async with connected(server, ssl=context) as client:
            await client.say(type="subscribe", id="all")
            await wait_until_async(lambda: '"t"' in json.dumps(client.of("data")))


def _agreed(url: str, context: ssl.SSLContext) -> tuple[str | None, str]:
    """Return protocol and cipher that a client of `context` comes to."""
    place = urlsplit(url)
    with (
        socket.create_connection((place.hostname, place.port or 0), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        cipher = line.cipher()
        assert cipher is not None
        return line.version(), cipher[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_only_protocols_and_ciphers_without_known_weakness_are_spoken(
    url: str, certificate: Path
) -> None:
    def client(version: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(certificate))
        made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        made.maximum_version = version
        # Level 0 lets this client offer what it would refuse itself.
        made.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        return made

    old, newer = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2
    async with serving(url, tls_cert=certificate) as server:
        for version, ciphers in ((old, "ALL"), (newer, "NULL"), (newer, "aNULL")):
            # It is the server that refuses: it hangs up, with an alert or without.
            with pytest.raises((ssl.SSLError, OSError), match=r"ALERT|EOF|reset"):
                await anyio.to_thread.run_sync(
                    _agreed, server.url, client(version, ciphers)
                )
        agreed, cipher = await anyio.to_thread.run_sync(
            _agreed, server.url, client(newer, "ALL")
        )
    assert agreed == "TLSv1.2"
    assert cipher.startswith("ECDHE-")
    assert "GCM" in cipher or "CHACHA20" in cipher


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tls_cert": "absent.pem"}, "cannot serve TLS with absent.pem"),
        ({"tls_key": "key.pem"}, "HERALD_TLS_KEY needs HERALD_TLS_CERT"),
        ({"tls_cert": __file__}, "give a certificate chain in PEM"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_said(
    given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_tls(ServerSettings(token="a" * 8, **given))
