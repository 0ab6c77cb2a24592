"""Protection of webhooks against server-side request forgery (SSRF).

The owner of an endpoint must not reach through Herald what only Herald can reach: its
own machine, its network, the metadata service of its cloud. A name is resolved here,
each address is checked, and the connection goes to a checked address, so DNS rebinding
has no effect.
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

from herald_core.errors import HeraldError, InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVE_TIMEOUT_S = 5.0

NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")
GLOBAL_UNICAST = ip_network("2000::/3")
"""The only part of IPv6 with public addresses (RFC 4291)."""

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
"""Addresses that Python (in some version) regards as public and that are not:
special-purpose addresses of the IANA registries, and a service of Azure."""


class ForbiddenAddress(HeraldError):
    """An address that is not allowed as a target."""


class AddressUnresolved(HeraldError):
    """A name that does not resolve at the moment."""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks in `texts`. Raises `InvalidInput`."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise InvalidInput(
                f"HERALD_WEBHOOKS_ALLOW: {text[:60]!r} is no network; write one as "
                "10.1.0.0/16 or 127.0.0.1"
            ) from None
    return tuple(found)


Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Returns the addresses of a name, at least one. Raises `AddressUnresolved`."""


async def resolve_host(host: str, port: int) -> list[Address]:
    """Return the addresses of `host` by this machine's resolver.

    Raises `AddressUnresolved`.
    """
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            # Also parses unusual forms of addresses, such as 0x7f.1, exactly as
            # connecting does.
            infos = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        raise AddressUnresolved(
            f"{host} was not resolved within {RESOLVE_TIMEOUT_S:.0f} s"
        ) from None
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AddressUnresolved(f"{host} does not resolve: {why}") from None
    # An IPv6 address may carry a zone, which ip_address knows too.
    addresses = [ip_address(str(info[4][0])) for info in infos]
    if not addresses:
        raise AddressUnresolved(f"{host} has no address")
    return list(dict.fromkeys(addresses))


class SsrfGuard:
    """Decides which addresses are allowed; those in `allowed` always are."""

    def __init__(
        self, allowed: Iterable[Network] = (), resolve: Resolve = resolve_host
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve

    def is_allowed(self, address: Address) -> bool:
        """Return True if `address` is public, or allowed."""
        inner = {address, *_find_translated(address)}
        if any(one in net for one in inner for net in self._allowed):
            return True
        # Prefixes of translated addresses are not public themselves, in some version of
        # Python at least.
        judged = inner - {address} if _has_translated_prefix(address) else inner
        return all(_is_public(one) for one in judged)

    async def resolve_allowed(self, host: str, port: int) -> list[str]:
        """Return the allowed addresses of `host`.

        Raises `ForbiddenAddress` if there are only others, `AddressUnresolved` if there
        are none.
        """
        found = await self._resolve(host, port)
        good = [str(one) for one in found if self.is_allowed(one)]
        if not good:
            raise ForbiddenAddress(
                f"{host} is {found[0]}, which is no public address; to send there "
                f"all the same, add its network to HERALD_WEBHOOKS_ALLOW"
            )
        return good


def _has_translated_prefix(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return False
    return bool(address in NAT64 or address.ipv4_mapped or address.sixtofour)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in net for net in SPECIAL)
    )


def _find_translated(address: Address) -> list[Address]:
    """Return the IPv4 addresses to which an IPv6 address is translated."""
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
