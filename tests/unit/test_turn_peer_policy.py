"""Peers that must not be reached, in every range and every notation of it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.unit.test_turn_world import RELAY_V4, RELAY_V6, World
from turn.address import Address, Family
from turn.attributes import Attribute
from turn.message import pack_xor_address
from turn.peer_policy import PeerPolicy, Refusal
from turn.special_ranges import IPV4_SPECIAL, IPV6_SPECIAL, embedded_ipv4

OWN = Address("198.51.100.99", 3478)
PUBLIC = ["8.8.8.8", "1.1.1.1", "223.255.255.255", "2a00:1450::1", "2606:4700::1111"]
NAMED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.31.255.255",
    "192.168.0.1", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1",
    "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:2::1",
    "2001:db8::1", "3fff::1", "5f00::1", "100::1", "100:0:0:1::1", "fc00::1", "fd12:3456::1",
    "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "2620:4f:8000::1",
    "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808", "4000::1", "e000::1",
    # ISATAP: a private address behind an innocent prefix
    "2a00:1450::5efe:10.0.0.1", "2a00:1450::200:5efe:127.0.0.1",
]  # fmt: skip
SPECIAL = [
    *NAMED,
    *(str(network[0]) for network, _ in (*IPV4_SPECIAL, *IPV6_SPECIAL)),
    *(str(network[-1]) for network, _ in (*IPV4_SPECIAL, *IPV6_SPECIAL)),
]


def _in_the_form_of_the_wire(host: str) -> str:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, host))


@pytest.mark.parametrize("host", sorted(set(SPECIAL)))
@pytest.mark.parametrize("family", list(Family))
def test_no_request_reaches_a_special_address(host: str, family: Family) -> None:
    world = World()
    client, flow = world.allocated(family=family)
    peer = Address(_in_the_form_of_the_wire(host), 53)
    assert world.code(flow, client.create_permission(peer)) == 403
    assert world.code(flow, client.channel_bind(0x4000, peer)) == 403
    world.send(flow, client.send(peer, b"knock"))
    assert world.transmitted == []
    (relay_id,) = world.relays
    assert world.permitted[relay_id] == set()
    assert world.channels[relay_id] == {}


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_reached(host: str) -> None:
    assert PeerPolicy().refuses(Address(host, 1)) is None


def test_ports_of_this_machine_are_reached_where_they_are_relay_ports() -> None:
    ports = range(50000, 50100)
    policy = PeerPolicy(own_hosts=["203.0.113.5"], listeners=[OWN], relay_ports=ports)
    assert policy.refuses(Address("203.0.113.5", 50050)) is None
    for port in (0, 22, 3478, 6379, 49999, 50100):
        assert policy.refuses(Address("203.0.113.5", port)) is Refusal.OWN_HOST
        assert policy.refuses_port(Address("203.0.113.5", port))
    assert not policy.refuses_port(Address("203.0.113.5", 50050))
    assert not policy.refuses_port(Address("8.8.8.8", 53))


@pytest.mark.parametrize("host", [RELAY_V4, RELAY_V6])
def test_a_permission_for_a_relay_port_opens_no_other_port(host: str) -> None:
    world = World()
    family = Family.IPV6 if ":" in host else Family.IPV4
    client, flow = world.allocated(family=family)
    assert world.code(flow, client.create_permission(Address(host, 50001))) is None
    world.send(flow, client.send(Address(host, 22), b"ssh?"))
    assert world.transmitted == []
    world.send(flow, client.send(Address(host, 50001), b"hello"))
    assert len(world.transmitted) == 1
    assert world.code(flow, client.channel_bind(0x4000, Address(host, 22))) == 403
    assert world.code(flow, client.create_permission(Address(host, 0))) == 403


def test_loopback_for_trials_opens_loopback_only() -> None:
    policy = PeerPolicy(
        allow_loopback=True, own_hosts=["127.0.0.1"], listeners=[Address("127.0.0.1", 3478)]
    )
    assert policy.refuses(Address("127.0.0.1", 5000)) is None
    assert policy.refuses(Address("::1", 5000)) is None
    assert not policy.refuses_port(Address("127.0.0.1", 5000))
    assert policy.refuses(Address("127.0.0.1", 3478)) is Refusal.LISTENER
    assert policy.refuses_port(Address("127.0.0.1", 3478))
    for host in ("::ffff:127.0.0.1", "::127.0.0.1", "10.0.0.1", "169.254.169.254", "::"):
        assert policy.refuses(Address(host, 5000)) is not None


def test_allowed_networks_leave_this_machine_closed() -> None:
    """A clinic's network may be open to calls, and the relay has an address in it."""
    policy = PeerPolicy(
        allowed=["0.0.0.0/0", "::/0"],
        own_hosts=["10.0.0.5", "203.0.113.5", "fd00::5", "127.0.0.1", "::1"],
        relay_ports=range(50000, 50100),
    )
    for host in ("10.0.0.5", "203.0.113.5", "fd00::5", "127.0.0.1", "::1"):
        for port in (53, 6379, 49999, 50100):
            assert policy.refuses(Address(host, port)) is Refusal.OWN_HOST
            assert policy.refuses_port(Address(host, port))
        assert policy.refuses(Address(host, 50050)) is None
        assert not policy.refuses_port(Address(host, 50050))
    # All of loopback is this machine, and so is the address of none.
    for host in ("127.0.0.2", "127.255.255.254", "0.0.0.0", "::"):
        for port in (53, 50050):
            assert policy.refuses(Address(host, port)) is Refusal.SPECIAL
            assert policy.refuses_port(Address(host, port))
    for host in ("10.0.0.6", "192.168.1.1", "fd00::6"):
        assert policy.refuses(Address(host, 53)) is None
        assert not policy.refuses_port(Address(host, 53))
    # Nor is there a way round by an address that hides one of this machine.
    for host in ("64:ff9b::10.0.0.5", "::ffff:10.0.0.5", "2002:a00:5::1", "::ffff:127.0.0.2"):
        assert policy.refuses(Address(host, 53)) is Refusal.EMBEDDED
        assert policy.refuses_port(Address(host, 53))


def test_what_trials_open_stays_open_and_opens_no_more() -> None:
    policy = PeerPolicy(
        allowed=["10.0.0.0/8"], allow_loopback=True, own_hosts=["127.0.0.1", "10.0.0.5"]
    )
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        assert policy.refuses(Address(host, 53)) is None
        assert not policy.refuses_port(Address(host, 53))
    assert policy.refuses(Address("10.0.0.5", 53)) is Refusal.OWN_HOST
    assert policy.refuses_port(Address("10.0.0.5", 53))


def test_a_service_of_this_machine_is_open_at_its_port_whatever_is_allowed() -> None:
    policy = PeerPolicy(
        allowed=["10.0.0.0/8"], own_hosts=["10.0.0.5"], services=[Address("10.0.0.5", 10000)]
    )
    assert policy.refuses(Address("10.0.0.5", 10000)) is None
    assert not policy.refuses_port(Address("10.0.0.5", 10000))
    assert policy.refuses(Address("10.0.0.5", 53)) is Refusal.OWN_HOST
    assert policy.refuses_port(Address("10.0.0.5", 53))


def test_denied_beats_allowed_and_hidden_addresses_are_looked_through() -> None:
    policy = PeerPolicy(
        allowed=["10.0.0.0/8", "64:ff9b::/96", "2002::/16", "2001::/32"],
        denied=["10.1.0.0/16", "8.8.0.0/16"],
    )
    assert policy.refuses(Address("10.2.0.1", 1)) is None
    assert policy.refuses(Address("10.1.0.1", 1)) is Refusal.DENIED
    assert policy.refuses(Address("8.8.8.8", 1)) is Refusal.DENIED
    assert policy.refuses(Address("64:ff9b::9.9.9.9", 1)) is None
    assert policy.refuses(Address("64:ff9b::8.8.8.8", 1)) is Refusal.DENIED
    assert policy.refuses(Address("64:ff9b::192.168.1.1", 1)) is Refusal.EMBEDDED
    assert policy.refuses(Address("2002:909:909::1", 1)) is None
    assert policy.refuses(Address("2002:c0a8:101::1", 1)) is Refusal.EMBEDDED
    # Teredo hides two: the server in the clear and the client inverted.
    assert policy.refuses(Address("2001:0:909:909:0:0:f6f6:f6f6", 1)) is None
    assert policy.refuses(Address("2001:0:909:909:0:0:3f57:fefe", 1)) is Refusal.EMBEDDED


def test_tables_name_real_networks_once() -> None:
    for table in (IPV4_SPECIAL, IPV6_SPECIAL):
        networks = [network for network, _ in table]
        assert len(set(networks)) == len(networks)
        for network in networks:
            assert ip_network(str(network)) == network


def test_embedded_addresses() -> None:
    from ipaddress import IPv4Address, IPv6Address

    def hidden(host: str) -> list[str]:
        return [str(address) for address in embedded_ipv4(IPv6Address(host))]

    assert hidden("::ffff:10.0.0.1") == ["10.0.0.1"]
    assert hidden("2002:a00:1::") == ["10.0.0.1"]
    assert hidden("2001:0:4136:e378:8000:63bf:3fff:fdd2") == ["65.54.227.120", "192.0.2.45"]
    assert hidden("2a00::1") == []
    assert hidden("::1") == []
    assert IPv4Address("0.0.0.1") not in embedded_ipv4(IPv6Address("::1"))


def test_an_address_in_a_notation_of_its_own_is_still_four_bytes() -> None:
    """The wire has no notations: whatever text a client was given, this is what arrives."""
    world = World()
    client, flow = world.allocated()
    mapped = pack_xor_address(Address("::ffff:127.0.0.1", 9), b"t" * 12)
    assert len(mapped) == 20
    value = (Attribute.XOR_PEER_ADDRESS, mapped)
    from turn.attributes import Method

    assert world.code(flow, client.request(Method.CREATE_PERMISSION, [value], b"t" * 12)) == 403
