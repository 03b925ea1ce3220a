"""The running relay: both directions, both families, trains, errors, bounds and endings."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.integration.test_turn_running import (
    HOSTS,
    SECRET,
    Peer,
    Talker,
    credentials,
    many,
    port_of,
    running,
    trusting,
    write_certificate,
)
from turn.address import Address, Family
from turn.attributes import Attribute, MessageClass, Method
from turn.client import TurnClient, address_in, error_code, parse_answer
from turn.config import ConfigError, Listener, RelayConfig
from turn.credentials import issue
from turn.five_tuple import Transport
from turn.message import encode_message
from turn.probe import probe
from turn.relay import Relay
from turn.relay_socket import UDP_GRO, UDP_SEGMENT

FAMILIES = dict(zip(HOSTS, Family, strict=True))


def family_attribute(host: str) -> tuple[int, bytes]:
    return Attribute.REQUESTED_ADDRESS_FAMILY, bytes((FAMILIES[host], 0, 0, 0))


def channel_data(number: int, payload: bytes) -> bytes:
    return struct.pack("!HH", number, len(payload)) + payload


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("size", [0, 1, 1200, 8000])
async def test_channel_data_goes_both_ways(tmp_path: Path, host: str, size: int) -> None:
    payload = os.urandom(size)
    async with running(tmp_path) as relay:
        with Talker(relay, host) as talker, Peer(host) as peer:
            await talker.allocate(family_attribute(host))
            assert await talker.code(talker.client.channel_bind(0x4000, peer.address)) is None
            talker.sock.send(channel_data(0x4000, payload))
            assert await peer.receive() == (payload, talker.relayed)
            # Padding is optional on UDP and not part of the payload.
            talker.sock.send(channel_data(0x4000, payload) + b"\0\0\0")
            assert await peer.receive() == (payload, talker.relayed)
            peer.sock.sendto(payload, talker.relayed)
            assert await talker.receive() == channel_data(0x4000, payload)


@pytest.mark.parametrize("host", HOSTS)
async def test_send_and_data_go_both_ways(tmp_path: Path, host: str) -> None:
    async with running(tmp_path) as relay:
        with Talker(relay, host) as talker, Peer(host) as peer, Peer(host) as stranger:
            await talker.allocate(family_attribute(host))
            talker.sock.send(talker.client.send(peer.address, b"too early"))
            assert await talker.code(talker.client.create_permission(peer.address)) is None
            talker.sock.send(talker.client.send(peer.address, b"hello"))
            assert await peer.receive() == (b"hello", talker.relayed)
            whole = (Attribute.DONT_FRAGMENT, b"")
            talker.sock.send(talker.client.send(peer.address, b"whole", whole))
            assert await peer.receive() == (b"whole", talker.relayed)
            # The permission is for the host: another port of it may answer as well.
            for sender, payload in ((peer, b"back"), (stranger, b""), (stranger, b"x" * 9000)):
                sender.sock.sendto(payload, talker.relayed)
                message = parse_answer(await talker.receive())
                assert message is not None
                assert message.method == Method.DATA
                assert message.message_class is MessageClass.INDICATION
                assert message.get(Attribute.DATA) == payload
                assert address_in(message, Attribute.XOR_PEER_ADDRESS) == sender.address


async def test_nothing_passes_without_permission(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        with Talker(relay) as talker, Peer() as peer:
            await talker.allocate()
            peer.sock.sendto(b"knock", talker.relayed)
            talker.sock.send(channel_data(0x4000, b"unbound"))
            talker.sock.send(channel_data(0x5000, b"out of range"))
            assert await talker.hears_nothing()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            # A length that claims more than there is, and less than a header.
            talker.sock.send(struct.pack("!HH", 0x4000, 100) + b"short")
            talker.sock.send(b"\x40\x00")
            talker.sock.send(b"")
            with pytest.raises(TimeoutError):
                await peer.receive(0.2)
            dropped = relay.stats().dropped
            assert dropped["no_permission"] == 1
            assert dropped["unbound_channel"] == 2
            assert dropped["bad_channel_data"] == 1


async def test_two_clients_of_one_relay_reach_each_other(tmp_path: Path) -> None:
    async with running(tmp_path, allow_loopback_peers=False) as relay:
        with Talker(relay, opaque="a") as near, Talker(relay, opaque="b") as far:
            await near.allocate()
            await far.allocate()
            assert await near.code(near.client.channel_bind(0x4000, far.relayed)) is None
            assert await far.code(far.client.channel_bind(0x4001, near.relayed)) is None
            near.sock.send(channel_data(0x4000, b"to far"))
            assert await far.receive() == channel_data(0x4001, b"to far")
            far.sock.send(channel_data(0x4001, b"to near"))
            assert await near.receive() == channel_data(0x4000, b"to near")


async def test_behind_a_one_to_one_nat_clients_reach_each_other(tmp_path: Path) -> None:
    """Peers are named by the address the NAT shows; their datagrams need not pass through it."""
    async with running(tmp_path, external_ipv4="198.51.100.77") as relay:
        with Talker(relay, opaque="a") as near, Talker(relay, opaque="b") as far:
            await near.allocate()
            await far.allocate()
            assert near.relayed.host == "198.51.100.77"
            assert await near.code(near.client.channel_bind(0x4000, far.relayed)) is None
            assert await far.code(far.client.create_permission(near.relayed)) is None
            near.sock.send(channel_data(0x4000, b"round the corner"))
            message = parse_answer(await far.receive())
            assert message is not None
            assert message.get(Attribute.DATA) == b"round the corner"
            assert address_in(message, Attribute.XOR_PEER_ADDRESS) == near.relayed
            far.sock.send(far.client.send(near.relayed, b"and back"))
            assert await near.receive() == channel_data(0x4000, b"and back")
            own = Address("198.51.100.77", port_of(relay, Transport.UDP))
            assert await near.code(near.client.create_permission(own)) == 403


async def test_a_dual_allocation_relays_both_families(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        with Talker(relay) as talker, Peer() as four, Peer("::1") as six:
            dual = (Attribute.ADDITIONAL_ADDRESS_FAMILY, bytes((2, 0, 0, 0)))
            answer = await talker.allocate(dual)
            assert len(answer.get_all(Attribute.XOR_RELAYED_ADDRESS)) == 2
            for number, peer in ((0x4000, four), (0x4001, six)):
                bind = talker.client.channel_bind(number, peer.address)
                assert await talker.code(bind) is None
                talker.sock.send(channel_data(number, b"hello"))
                data, relayed = await peer.receive()
                assert data == b"hello"
                peer.sock.sendto(b"back", relayed)
                assert await talker.receive() == channel_data(number, b"back")
            drop_six = talker.client.request(
                Method.REFRESH,
                [
                    (Attribute.LIFETIME, bytes(4)),
                    (Attribute.REQUESTED_ADDRESS_FAMILY, bytes((2, 0, 0, 0))),
                ],
            )
            assert await talker.code(drop_six) is None
            talker.sock.send(channel_data(0x4001, b"gone") + b"")
            talker.sock.send(channel_data(0x4000, b"stays"))
            assert (await four.receive())[0] == b"stays"


@pytest.mark.parametrize("count", [2, 40])
async def test_trains_stay_whole_in_both_directions(tmp_path: Path, count: int) -> None:
    """What the kernel coalesces (UDP_SEGMENT, UDP_GRO) arrives as the datagrams it was."""
    payloads = [bytes((index,)) * 1200 for index in range(count - 1)] + [b"shorter"]
    segment = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1204))]
    async with running(tmp_path) as relay:
        with Talker(relay) as talker, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            talker.sock.sendmsg([channel_data(0x4000, p) for p in payloads], segment)
            assert [(await peer.receive())[0] for _ in payloads] == payloads
            segment = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1200))]
            peer.sock.sendmsg(payloads, segment, 0, talker.relayed)
            received = [await talker.receive() for _ in payloads]
            assert received == [channel_data(0x4000, p) for p in payloads]
            stats = relay.stats()
            assert stats.packets == {"up": count, "down": count}
            # A receiver that takes trains gets one: it left the relay as such.
            peer.sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
            segment = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1204))]
            talker.sock.sendmsg([channel_data(0x4000, p) for p in payloads], segment)
            data, _ = await peer.receive()
            assert data == b"".join(payloads)


async def test_a_train_of_mixed_messages(tmp_path: Path) -> None:
    """Equal sizes, different meanings: channels, an unbound one, garbage and a STUN request."""
    async with running(tmp_path) as relay:
        with Talker(relay) as talker, Peer() as one, Peer() as two:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, one.address))
            await talker.ask(talker.client.channel_bind(0x4001, two.address))
            binding = encode_message(Method.BINDING, MessageClass.REQUEST, b"t" * 12, ())
            parts = [
                channel_data(0x4000, b"a" * 16),
                channel_data(0x4001, b"b" * 16),
                channel_data(0x4001, b"c" * 12) + b"\0\0\0\0",
                channel_data(0x4007, b"d" * 16),
                binding,
                b"\xff" * 20,
                channel_data(0x4000, b"e" * 16),
            ]
            segment = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 20))]
            talker.sock.sendmsg(parts, segment)
            assert [(await one.receive())[0] for _ in range(2)] == [b"a" * 16, b"e" * 16]
            assert [(await two.receive())[0] for _ in range(2)] == [b"b" * 16, b"c" * 12]
            answer = parse_answer(await talker.receive())
            assert answer is not None
            assert answer.transaction_id == b"t" * 12


@pytest.mark.parametrize("host", HOSTS)
async def test_icmp_errors_come_to_the_client(tmp_path: Path, host: str) -> None:
    async with running(tmp_path) as relay:
        with Talker(relay, host) as talker:
            with Peer(host) as peer:
                closed = peer.address
            await talker.allocate(family_attribute(host))
            await talker.ask(talker.client.create_permission(closed))
            talker.sock.send(talker.client.send(closed, b"anybody?"))
            message = parse_answer(await talker.receive())
            assert message is not None
            value = message.get(Attribute.ICMP)
            assert value is not None
            word = int.from_bytes(value[2:4], "big")
            # Port unreachable: type 3 code 3, or type 1 code 4 in ICMPv6.
            assert (word >> 9, word & 0x1FF) == ((3, 3) if host == "127.0.0.1" else (1, 4))
            assert address_in(message, Attribute.XOR_PEER_ADDRESS) == closed
            # The socket is none the worse for it.
            with Peer(host) as peer:
                await talker.ask(talker.client.channel_bind(0x4000, peer.address))
                talker.sock.send(channel_data(0x4000, b"still here"))
                assert (await peer.receive())[0] == b"still here"


async def test_bandwidth_has_a_bound_for_each_allocation(tmp_path: Path) -> None:
    limits = many(bandwidth=1_048_576)  # 131 packets a second, and as many at once
    async with running(tmp_path, limits=limits) as relay:
        with (
            Talker(relay, opaque="a") as greedy,
            Talker(relay, opaque="b") as modest,
            Peer() as peer,
        ):
            for talker in (greedy, modest):
                await talker.allocate()
                await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            started = time.monotonic()
            for _ in range(10):
                for _ in range(30):
                    greedy.sock.send(channel_data(0x4000, bytes(1000)))
                await asyncio.sleep(0.005)
            modest.sock.send(channel_data(0x4000, b"me too"))
            received = []
            while not received or received[-1] != b"me too":
                received.append((await peer.receive())[0])
            # What there was at once, and what time gave back.
            expected = 131 + 131 * (time.monotonic() - started)
            assert 120 <= len(received) <= expected + 5
            assert relay.stats().dropped["bandwidth"] == 301 - len(received)


async def test_metrics_name_no_one(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    async with running(tmp_path, registry) as relay:
        with Talker(relay, opaque="canary7") as talker, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            await talker.ask(talker.client.create_permission(Address("10.9.8.7", 1)))
            talker.sock.send(channel_data(0x4000, b"x"))
            await peer.receive()
            text = generate_latest(registry).decode()
    assert "konsil_turn_allocations 1.0" in text
    assert 'konsil_turn_relayed_packets_total{direction="up"} 1.0' in text
    assert 'konsil_turn_requests_total{method="create_permission",outcome="403"} 1.0' in text
    assert 'konsil_turn_dropped_total{reason="peer_special_range"} 1.0' in text
    assert "canary7" not in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|::1|[0-9a-f]+:[0-9a-f]+:", text)
    assert b"konsil_turn" not in generate_latest(registry)


async def test_secrets_rotate_in_a_running_relay(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.UDP)
        fresh = issue("n3w", "p1", int(time.time()) + 600)
        relay.rotate_secrets(("n3w", SECRET))
        await probe(Transport.UDP, "127.0.0.1", port, *fresh)
        await probe(Transport.UDP, "127.0.0.1", port, *credentials())
        relay.rotate_secrets(("n3w",))
        with Talker(relay) as talker:
            talker.client.learn(await talker.ask(talker.client.allocate()))
            assert await talker.code(talker.client.allocate()) == 401


async def test_a_new_certificate_serves_new_connections(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.TLS)
        await probe(Transport.TLS, "127.0.0.1", port, *credentials(), context=trusting(tmp_path))
        write_certificate(tmp_path)
        relay.reload_certificate()
        await probe(Transport.TLS, "127.0.0.1", port, *credentials(), context=trusting(tmp_path))
        (tmp_path / "certificate.pem").write_text("not a certificate")
        with pytest.raises(ConfigError, match="certificate"):
            relay.reload_certificate()


async def test_draining_waits_for_the_last_allocation(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        with Talker(relay) as talker, Talker(relay, opaque="late") as late, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            started = time.monotonic()
            await relay.drain(0.3)
            assert time.monotonic() - started >= 0.3
            assert not relay.ready
            late.client.learn(await late.ask(late.client.allocate()))
            assert await late.code(late.client.allocate()) == 508
            talker.sock.send(channel_data(0x4000, b"still talking"))
            assert (await peer.receive())[0] == b"still talking"
            assert await talker.code(talker.client.refresh(600)) is None
            draining = asyncio.create_task(relay.drain(30))
            await talker.ask(talker.client.refresh(0))
            await asyncio.wait_for(draining, 2)


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with running(tmp_path):
        pass
    gc.collect()
    before = descriptors()
    async with running(tmp_path) as relay:
        for number in range(5):
            with Talker(relay, opaque=f"p{number}") as talker:
                await talker.allocate()
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(relay, Transport.TCP))
        assert relay.allocations == 5
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert descriptors() == before


async def test_a_port_in_use_is_told_and_nothing_stays_bound(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listen = (
            Listener(Transport.UDP, "127.0.0.1", port), Listener(Transport.TCP, "127.0.0.1", port)
        )  # fmt: skip
        with pytest.raises(ConfigError, match=f"port {port}"):
            async with running(tmp_path, listen=listen):
                pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", port))


async def test_wildcards_listen_on_every_address(tmp_path: Path) -> None:
    config = RelayConfig(
        secrets=(SECRET,),
        listen=(Listener(Transport.UDP, "0.0.0.0", 0),),
        relay_ipv4="127.0.0.1",
        relay_ipv6="",
    )
    async with Relay(config) as relay:
        hosts = {listener.host for listener in relay.listeners}
        assert "127.0.0.1" in hosts
        for listener in relay.listeners:
            await probe(Transport.UDP, listener.host, listener.port, *credentials())


async def test_a_process_that_dies_comes_back_and_harms_no_other(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    async with running(tmp_path, registry, processes=2) as relay:
        port = port_of(relay, Transport.UDP)
        talkers: list[Talker] = []
        with ExitStack() as opened:
            peer = opened.enter_context(Peer())
            workers = relay._running._workers  # type: ignore[union-attr]
            counts = [0, 0]
            # The kernel spreads flows by chance, and once in 2048 runs twelve are not enough.
            while not all(counts) and len(talkers) < 48:
                for _ in range(12):
                    talker = Talker(relay, opaque=f"p{len(talkers)}")
                    opened.callback(talker.sock.close)
                    talkers.append(talker)
                    await talker.allocate()
                    await talker.ask(talker.client.channel_bind(0x4000, peer.address))
                await asyncio.sleep(1.2)
                assert relay.allocations == len(talkers)
                counts = [worker.stats.allocations for worker in workers]
            assert all(counts), "all flows on one of two processes"
            os.kill(workers[0].process.pid, signal.SIGKILL)
            await asyncio.sleep(0.1)
            alive = 0
            for talker in talkers:
                talker.sock.send(channel_data(0x4000, b"alive?"))
            while True:
                try:
                    await peer.receive(0.5)
                except TimeoutError:
                    break
                alive += 1
            assert alive == counts[1]
            async with asyncio.timeout(20):
                while not relay.ready:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            for number in range(6):
                await probe(Transport.UDP, "127.0.0.1", port, *credentials(opaque=f"q{number}"))
            for talker in talkers:  # and no surviving flow has moved
                talker.sock.send(channel_data(0x4000, b"alive?"))
            heard = [await peer.receive() for _ in range(counts[1])]
            assert len(heard) == counts[1]
            assert "konsil_turn_worker_restarts_total 1.0" in generate_latest(registry).decode()


async def test_several_processes_obey_together(tmp_path: Path) -> None:
    async with running(tmp_path, processes=2) as relay:
        relay.rotate_secrets(("n3w",))
        fresh = issue("n3w", "p1", int(time.time()) + 600)
        await asyncio.sleep(0.3)
        port = port_of(relay, Transport.UDP)
        for _ in range(6):
            await probe(Transport.UDP, "127.0.0.1", port, *fresh)
        await relay.drain(0)
        await asyncio.sleep(0.3)
        for _ in range(6):
            with Talker(relay) as talker:
                talker.client = TurnClient(*fresh, os.urandom)
                talker.client.learn(await talker.ask(talker.client.allocate()))
                assert error_code(await talker.ask(talker.client.allocate())) == 508


async def test_a_signal_to_all_processes_ends_no_call(tmp_path: Path) -> None:
    """A service manager sends SIGTERM to the whole group; draining is the first one's decision."""
    async with running(tmp_path, processes=2) as relay:
        with Talker(relay) as talker, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            for worker in relay._running._workers:  # type: ignore[union-attr]
                os.kill(worker.process.pid, signal.SIGTERM)
            await asyncio.sleep(0.3)
            draining = asyncio.create_task(relay.drain(30))
            await asyncio.sleep(2.5)
            assert not draining.done()
            talker.sock.send(channel_data(0x4000, b"still talking"))
            assert (await peer.receive())[0] == b"still talking"
            await talker.ask(talker.client.refresh(0))
            await asyncio.wait_for(draining, 5)
        assert relay.stats().restarts == 0
