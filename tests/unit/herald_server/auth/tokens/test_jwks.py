"""The keys of an issuer come from the configured address, and from no other."""

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from herald_server.auth.tokens.jwks import KeySet, UnknownKey, parse_keys

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
ONE = json.loads(RSAAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1"}
SET = json.dumps({"keys": [{k: v for k, v in ONE.items() if k != "key_ops"}]})

pytestmark = pytest.mark.anyio


def test_the_set_at_the_other_address_would_do() -> None:
    assert [key.key_id for key in parse_keys(SET)] == ["k1"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirected_key_set_is_not_followed(
    code: int, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[bytes] = []

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(await reader.readline())
        await reader.readuntil(b"\r\n\r\n")
        if b"/keys" in asked[-1]:
            there = f"http://127.0.0.1:{port}/elsewhere"
            head = f"HTTP/1.1 {code} Moved\r\nLocation: {there}\r\n\r\n"
            writer.write(head.encode())
        else:
            writer.write(b"HTTP/1.1 200 Yes\r\n\r\n" + SET.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        keys = KeySet(f"http://127.0.0.1:{port}/keys")
        await keys.fetch()
    assert asked == [b"GET /keys HTTP/1.1\r\n"]
    assert "it redirects to" in caplog.text
    with pytest.raises(UnknownKey):
        keys.find_key("k1", "RS256")
