"""Whom a request comes from, as far as limits are concerned.

`X-Forwarded-For` is believed only as far as the proxies that the operator named reach: from the
right, addresses of trusted proxies are passed over, and the first other one counts.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

MAX_HOPS = 32
"""Entries of X-Forwarded-For that are looked at; of a longer list only the last ones are."""


def _parse(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # "[2001:db8::1]:443", as some proxies write
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the address of a TCP peer is that of one of the operator's proxies."""
    address = _parse(peer)
    return address is not None and any(address in network for network in trusted)


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Give the address that limits apply to.

    `peer` is the address of the TCP peer ("" for a Unix socket), `forwarded` the values of all
    X-Forwarded-For fields in their order, `trusted` the networks of the operator's proxies.
    """
    address = _parse(peer)
    if address is None:
        return peer
    if not trusted:
        return str(address)
    hops = ",".join(forwarded).split(",")[-MAX_HOPS:] if forwarded else []
    while hops and any(address in network for network in trusted):
        nearer = _parse(hops.pop())
        if nearer is None:  # a proxy that hides or garbles addresses: its own will do
            break
        address = nearer
    return str(address)
