"""Where webhooks may be sent: each row of the special-purpose address registries.

https://www.iana.org/assignments/iana-ipv4-special-registry and
iana-ipv6-special-registry; what lies outside 2000::/3 is no global unicast (RFC 4291).
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.errors import InvalidInput
from herald_server.webhooks.ssrf_guard import SsrfGuard, parse_networks

SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24"),
    *("192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    *("240.0.0.0/4", "168.63.129.16/32"),
    *("::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    *("200::/7", "400::/6", "1000::/4", "4000::/3", "6000::/3", "8000::/3"),
    *("a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/9"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "192.0.1.1", "172.32.0.1", "100.128.0.1"]
PRIVATE = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.1.1", "100.64.0.1"]


def translations(inner: str) -> list[IPv6Address]:
    """Return IPv6 addresses of which packets go to the IPv4 address `inner`."""
    four = int(IPv4Address(inner))
    return [
        IPv6Address(int(IPv6Address(prefix)) | four << shift)
        for prefix, shift in (
            ("::ffff:0:0", 0),  # mapped
            ("64:ff9b::", 0),  # NAT64
            ("2002::", 80),  # 6to4
            ("2606:4700::5efe:0:0", 0),  # ISATAP
            ("2606:4700::200:5efe:0:0", 0),  # ISATAP of a global IPv4 address
        )
    ]


@pytest.mark.parametrize("network", SPECIAL)
def test_nothing_is_sent_to_a_special_network(network: str) -> None:
    net = ip_network(network)
    for number in (0, net.num_addresses // 2, net.num_addresses - 1):
        assert not SsrfGuard().is_allowed(net[number]), net[number]


@pytest.mark.parametrize("inner", PRIVATE)
def test_nothing_is_sent_to_what_is_translated_to_a_private_address(inner: str) -> None:
    for address in (*translations(inner), IPv6Address(f"::{inner}")):
        assert not SsrfGuard().is_allowed(address), address
    # Translated by a host itself (RFC 2765), which is no way out of it.
    assert not SsrfGuard().is_allowed(IPv6Address(f"::ffff:0:{inner}"))


@pytest.mark.parametrize("inner", PUBLIC)
def test_what_is_translated_to_a_public_address_is_sent_to(inner: str) -> None:
    for address in (ip_address(inner), *translations(inner)):
        assert SsrfGuard().is_allowed(address), address


@given(st.integers(2**126, 2**128 - 1).map(IPv6Address))
def test_nothing_is_sent_above_global_unicast(address: IPv6Address) -> None:
    assert not SsrfGuard().is_allowed(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "169.254.1.1", "100.64.0.1", "100.100.100.200"),
        *("192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "168.63.129.16", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:db8::1", "64:ff9b::a9fe:a9fe"),
    ],
)
def test_nothing_is_sent_to_what_only_we_can_reach(address: str) -> None:
    assert not SsrfGuard().is_allowed(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_sent_to(address: str) -> None:
    assert SsrfGuard().is_allowed(ip_address(address))


def test_networks_that_are_allowed_are_sent_to_and_no_others() -> None:
    guard = SsrfGuard(parse_networks(["10.1.0.0/16", "::1"]))
    assert guard.is_allowed(ip_address("10.1.9.9"))
    assert guard.is_allowed(ip_address("::ffff:10.1.9.9"))
    assert guard.is_allowed(ip_address("::1"))
    assert not guard.is_allowed(ip_address("10.2.0.1"))
    with pytest.raises(InvalidInput, match="write one as 10"):
        parse_networks(["intranet"])
