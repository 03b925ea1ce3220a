"""How long permissions and channels last."""

from __future__ import annotations

from tests.unit.test_turn_world import PEER, World
from turn.address import Address
from turn.attributes import Attribute


def test_permissions_last_five_minutes_and_are_refreshed() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    world.allocate(client, flow, (Attribute.LIFETIME, (3600).to_bytes(4, "big")))
    (relay_id,) = world.relays
    world.ask(flow, client.create_permission(PEER))
    world.pass_time(299)
    world.ask(flow, client.create_permission(PEER))
    world.pass_time(299)
    assert world.permitted[relay_id] == {PEER.host}
    world.pass_time(1)
    assert world.permitted[relay_id] == set()
    world.send(flow, client.send(PEER, b"late"))
    assert not world.transmitted


def test_a_channel_admits_its_peer_as_long_as_it_is_bound() -> None:
    """aioice refreshes its channels every 500 s, and makes a permission once."""
    world = World()
    client, flow = world.client(expires_in=80_000), world.flow(4000)
    world.allocate(client, flow, (Attribute.LIFETIME, (3600).to_bytes(4, "big")))
    (relay_id,) = world.relays
    aside = "9.9.9.9"
    world.ask(flow, client.create_permission(PEER, Address(aside, 9)))
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    world.pass_time(310)
    assert world.permitted[relay_id] == {PEER.host}, "that host and no other"
    world.send(flow, client.send(PEER, b"by name"))
    assert len(world.transmitted) == 1
    world.pass_time(190)
    # What is for five minutes takes nothing from what is for ten.
    for request in (client.channel_bind(0x4000, PEER), client.create_permission(PEER)):
        client.learn(world.ask(flow, request))
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    assert world.code(flow, client.create_permission(PEER)) is None
    world.pass_time(599)
    assert world.permitted[relay_id] == {PEER.host}
    world.pass_time(1)
    assert world.permitted[relay_id] == set()
    assert world.channels[relay_id] == {}


def test_a_permission_outlives_its_channel_if_it_is_asked_for() -> None:
    world = World()
    client, flow = world.client(expires_in=80_000), world.flow(4000)
    world.allocate(client, flow, (Attribute.LIFETIME, (3600).to_bytes(4, "big")))
    (relay_id,) = world.relays
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    world.pass_time(500)
    assert world.code(flow, client.create_permission(PEER)) is None
    world.pass_time(299)
    assert world.channels[relay_id] == {}
    assert world.permitted[relay_id] == {PEER.host}
    world.pass_time(1)
    assert world.permitted[relay_id] == set()


def test_channels_last_ten_minutes_and_then_rest_for_five() -> None:
    world = World()
    client, flow = world.client(expires_in=80_000), world.flow(4000)
    world.allocate(client, flow, (Attribute.LIFETIME, (3600).to_bytes(4, "big")))
    (relay_id,) = world.relays
    other = Address("9.9.9.9", 9)
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    assert world.permitted[relay_id] == {PEER.host}
    world.pass_time(599)
    assert world.channels[relay_id] == {0x4000: PEER}
    world.pass_time(1)
    assert world.channels[relay_id] == {}
    # In quarantine: neither the number for another peer nor the peer under another number.
    client.learn(world.ask(flow, client.refresh(3600)))
    assert world.code(flow, client.channel_bind(0x4000, other)) == 400
    assert world.code(flow, client.channel_bind(0x4001, PEER)) == 400
    world.pass_time(298)
    assert world.code(flow, client.channel_bind(0x4000, other)) == 400
    # The same pair may come back at any time.
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    assert world.channels[relay_id] == {0x4000: PEER}
    world.pass_time(600)
    client.learn(world.ask(flow, client.refresh(3600)))
    world.pass_time(301)
    assert world.code(flow, client.channel_bind(0x4000, other)) is None
