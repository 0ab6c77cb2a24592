"""Where nothing may be sent: the guard against server-side request forgery.

Whoever may register an endpoint must not reach through Herald what only Herald
can reach: the machine itself, its network, the metadata of its cloud. A name is
resolved here, each address is checked, and the connection goes to an address that
was checked, so that a name which resolves otherwise a moment later (DNS rebinding)
gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from herald_monitor.errors import BadInput, HeraldError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVE_WITHIN = 5.0

NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")
GLOBAL_UNICAST = ip_network("2000::/3")
"""The only part of IPv6 from which public addresses are given out (RFC 4291)."""

ISATAP = (0x00005EFE, 0x02005EFE)
"""How an interface identifier begins that ends in an IPv4 address (RFC 5214)."""

SPECIAL = tuple(
    ip_network(text)
    for text in (
        *("168.63.129.16/32", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24"),
        *("192.88.99.0/24", "192.175.48.0/24"),
        *("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20"),
    )
)
"""What looks public to Python (to some version of it), and is not: special-purpose
addresses of the IANA's registries, and Azure's own service."""


class Refused(HeraldError):
    """An address to which nothing may be sent."""


class Unresolved(HeraldError):
    """A name that has no address just now."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that `texts` name. Raises `BadInput`."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise BadInput(
                f"HERALD_WEBHOOKS_ALLOW: {text[:60]!r} is no network; write one as "
                "10.1.0.0/16 or 127.0.0.1"
            ) from None
    return tuple(found)


Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Returns the addresses of a name, at least one. Raises `Unresolved`."""


async def resolved(host: str, port: int) -> list[Address]:
    """Return the addresses of `host` by this machine's resolver.

    Raises `Unresolved`.
    """
    try:
        async with asyncio.timeout(RESOLVE_WITHIN):
            # Also understands the odd spellings of addresses, such as 0x7f.1,
            # exactly as connecting would.
            told = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        raise Unresolved(
            f"{host} was not resolved within {RESOLVE_WITHIN:.0f} s"
        ) from None
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Unresolved(f"{host} does not resolve: {why}") from None
    # An IPv6 address may carry a zone, which ip_address knows too.
    found = [ip_address(str(one[4][0])) for one in told]
    if not found:
        raise Unresolved(f"{host} has no address")
    return list(dict.fromkeys(found))


class Guard:
    """Says which addresses may be sent to; those in `allowed` always."""

    def __init__(
        self, allowed: Iterable[Network] = (), resolve: Resolve = resolved
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve

    def lets(self, address: Address) -> bool:
        """Say whether `address` is public, or allowed."""
        inner = {address, *_within(address)}
        if any(one in net for one in inner for net in self._allowed):
            return True
        translated = address in NAT64 or getattr(address, "ipv4_mapped", None)
        # The prefix of a translation is not public itself.
        judged = inner - {address} if translated else inner
        return all(_public(one) for one in judged)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host` that may be connected to.

        Raises `Refused` if there are only others, `Unresolved` if there are none.
        """
        found = await self._resolve(host, port)
        good = [str(one) for one in found if self.lets(one)]
        if not good:
            raise Refused(
                f"{host} is {found[0]}, which is no public address; to send there "
                f"all the same, add its network to HERALD_WEBHOOKS_ALLOW"
            )
        return good


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in net for net in SPECIAL)
    )


def _within(address: Address) -> list[Address]:
    """Return the IPv4 addresses to which an IPv6 address leads by translation."""
    if isinstance(address, IPv4Address):
        return []
    inner: list[Address] = []
    if address.ipv4_mapped:
        inner.append(address.ipv4_mapped)
    if address.sixtofour:
        inner.append(address.sixtofour)
    if address.teredo:
        inner += address.teredo
    is_isatap = int(address) >> 32 & 0xFFFFFFFF in ISATAP
    if address in NAT64 or address in COMPATIBLE or is_isatap:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return inner
