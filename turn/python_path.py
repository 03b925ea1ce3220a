"""The data path in plain Python: one epoll set, one buffer, batches per wake-up.

The event loop watches only the epoll descriptor, so a thousand relay sockets cost it one handle,
and a packet costs it nothing. Datagrams are received into one shared buffer with room for a
ChannelData header in front and are sent from it again without a copy. Trains of equal datagrams
that the kernel has coalesced (UDP_GRO) leave as trains (UDP_SEGMENT).
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Callable

from turn.address import Address, Family
from turn.attributes import Attribute, MessageClass, Method
from turn.data_path import IcmpSink, MessageSink, PathCounters, StreamSink
from turn.faults import Faults
from turn.five_tuple import FiveTuple, Transport
from turn.forwarding import (
    Allowance,
    ForwardingTables,
    Listener,
    Relay,
    SockAddress,
    Way,
    sock_address,
)
from turn.message import encode_message, pack_xor_address
from turn.relay_socket import (
    UDP_SEGMENT,
    enable_gro,
    open_relay_socket,
    read_icmp_errors,
    send_unfragmented,
)

_ROUNDS = 8  # readiness rounds per wake-up; then the event loop gets its turn
_LISTENER_BATCH = 32  # datagrams from a listener before relay sockets get theirs
_MAX_EVENTS = 128
_HEADER = struct.Struct("!HH")
_BUFFER = 4 + 65536
_GRO_SPACE = socket.CMSG_SPACE(4)
# A message's length has 16 bits and is a multiple of four; the peer's address is in it, and the
# header of the payload.
_MOST_INDICATED = {Family.IPV4: 65532 - 12 - 4, Family.IPV6: 65532 - 24 - 4}
_NO_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class PythonPath:
    """`turn.data_path.DataPath` on epoll; see there for what the methods promise.

    `bandwidth` is in bits per second and direction; `inward` is explained at `ForwardingTables`.
    """

    def __init__(
        self,
        on_message: MessageSink,
        on_icmp: IcmpSink,
        random: Callable[[int], bytes],
        *,
        bandwidth: int,
        inward: dict[str, str] | None = None,
    ) -> None:
        self.counters = PathCounters()
        self._faults = Faults(self.counters.drop)
        self._on_message = on_message
        self._on_icmp = on_icmp
        self._random = random
        self._rate = bandwidth // 8
        self._tables = ForwardingTables(inward or {})
        self.permit = self._tables.permit
        self.revoke = self._tables.revoke
        self.bind_channel = self._tables.bind_channel
        self.unbind_channel = self._tables.unbind_channel
        self._epoll = select.epoll()
        self._sockets: dict[int, Listener | Relay] = {}
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._payload = self._view[4:]
        self._scatter = [self._payload]

    # Sockets

    def fileno(self) -> int:
        return self._epoll.fileno()

    def listen(self, sock: socket.socket, server: Address) -> None:
        sock.setblocking(False)
        enable_gro(sock)
        listener = Listener(sock, server)
        self._tables.listeners[server] = listener
        self._watch(sock, listener)

    def open_relay(self, relay_id: int, family: Family, host: str, port: int) -> None:
        sock = open_relay_socket(family, host, port)
        relay = Relay(relay_id, family, sock, self._rate)
        self._tables.relays[relay_id] = relay
        self._watch(sock, relay)

    def attach(
        self, relay_id: int, flow: FiveTuple, stream: StreamSink | None, meter: int = 0
    ) -> None:
        relay = self._tables.relays.get(relay_id)
        if relay is not None:
            self._tables.attach(relay, flow, stream, meter)

    def open_meter(self, meter: int, size: int) -> None:
        self._tables.meters[meter] = Allowance(0, size)

    def close_meter(self, meter: int) -> None:
        self._tables.meters.pop(meter, None)

    def close_relay(self, relay_id: int) -> None:
        relay = self._tables.relays.get(relay_id)
        if relay is not None:
            self._tables.detach(relay)
            self._epoll.unregister(relay.sock)
            del self._sockets[relay.sock.fileno()]
            relay.sock.close()

    def _watch(self, sock: socket.socket, what: Listener | Relay) -> None:
        self._sockets[sock.fileno()] = what
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close every relay socket; listeners belong to whoever bound them."""
        for relay_id in list(self._tables.relays):
            self.close_relay(relay_id)
        self._epoll.close()

    # Sending one message

    def reply(self, flow: FiveTuple, data: bytes) -> None:
        listener = self._tables.listeners[flow.server]
        try:
            listener.sock.sendto(data, sock_address(*flow.client))
        except OSError:
            self.counters.drop("send_error")

    def transmit(
        self, relay_id: int, peer: Address, payload: bytes, *, dont_fragment: bool
    ) -> None:
        relay = self._tables.relays.get(relay_id)
        if relay is None or not self._may_pass(relay.up, len(payload)):
            return
        address = (self._tables.inward(peer.host), peer.port)
        if relay.two_named:
            self._tables.speak(relay, peer.host, sock_address(*address))
        if not dont_fragment:
            self._send_up(relay, payload, address)
            return
        try:
            send_unfragmented(relay.sock, relay.family, payload, address)
        except OSError:
            self.counters.drop("send_error")
        else:
            self._count_up(1, len(payload))

    def forward(self, flow: FiveTuple, number: int, payload: memoryview) -> None:
        route = self._tables.routes.get(flow)
        bound = route.channels.get(number) if route is not None else None
        if bound is None:
            self.counters.drop("unbound_channel")
        elif self._may_pass(bound[0].up, len(payload)):
            if bound[0].two_named:
                self._tables.speak(bound[0], bound[2], bound[1])
            self._send_up(bound[0], payload, bound[1])

    def _may_pass(self, allowance: Allowance, size: int) -> bool:
        allowance.left -= size
        if allowance.left < 0 and not allowance.refill():
            allowance.left += size
            self.counters.drop("bandwidth")
            return False
        return True

    def _send_up(self, relay: Relay, payload: memoryview | bytes, peer: SockAddress) -> None:
        try:
            relay.sock.sendto(payload, peer)
        except OSError:
            # An ICMP error of an earlier datagram is reported by the next call, which then has
            # sent nothing.
            try:
                relay.sock.sendto(payload, peer)
            except OSError:
                self.counters.drop("send_error")
                return
        self._count_up(1, len(payload))

    def _count_up(self, packets: int, size: int) -> None:
        self.counters.packets_up += packets
        self.counters.bytes_up += size

    # The hot loops

    def drain(self) -> None:
        """Move what has come, at most a few hundred datagrams.

        A fault of ours ends the turn of the socket it was met at, and no other's.
        """
        sockets = self._sockets
        poll, readable, failed = self._epoll.poll, select.EPOLLIN, select.EPOLLERR
        for _ in range(_ROUNDS):
            events = poll(0, _MAX_EVENTS)
            if not events:
                return
            for descriptor, event in events:
                what = sockets.get(descriptor)
                try:
                    if isinstance(what, Relay):
                        if event & failed:
                            self._report_icmp(what)
                        if event & readable:
                            self._drain_relay(what)
                    elif what is not None:
                        self._drain_listener(what)
                except Exception as error:
                    self._faults.note(error, time.monotonic())

    def _drain_listener(self, listener: Listener) -> None:
        """Up: ChannelData of UDP clients to peers; the rest to the protocol."""
        buffer, payload_view = self._buffer, self._payload
        receive, scatter = listener.sock.recvmsg_into, self._scatter
        clients = listener.clients
        packets = size_sum = 0
        try:
            for _ in range(_LISTENER_BATCH):
                try:
                    size, ancillary, _, source = receive(scatter, _GRO_SPACE)
                except BlockingIOError:
                    break
                except OSError:  # an ICMP error about some client; its socket is everybody's
                    continue
                if ancillary:
                    self._up_train(listener, source, size, ancillary)
                    continue
                route = clients.get(source)
                # buffer[4:] holds the datagram.
                if route is None or size < 4 or buffer[4] & 0xC0 != 0x40:
                    self._control(listener, source, payload_view[:size])
                    continue
                bound = route.get(buffer[4] << 8 | buffer[5])
                length = buffer[6] << 8 | buffer[7]
                if bound is None or length + 4 > size:
                    self.counters.drop("unbound_channel" if bound is None else "bad_channel_data")
                    continue
                relay, peer, name = bound
                if relay.two_named:
                    self._tables.speak(relay, name, peer)
                relay.up.left -= length
                if relay.up.left < 0 and not relay.up.refill():
                    relay.up.left += length
                    self.counters.drop("bandwidth")
                    continue
                try:
                    relay.sock.sendto(payload_view[4 : 4 + length], peer)
                except OSError:
                    self._send_up(relay, payload_view[4 : 4 + length], peer)
                else:
                    packets += 1
                    size_sum += length
        finally:
            self.counters.packets_up += packets
            self.counters.bytes_up += size_sum

    def _drain_relay(self, relay: Relay) -> None:
        """Down: one datagram, or train, of a peer to the client."""
        try:
            size, ancillary, _, source = relay.sock.recvmsg_into(self._scatter, _GRO_SPACE)
        except OSError:  # nothing there, or an ICMP error that the error queue tells of
            return
        number = relay.peers.get(source)
        send = relay.send
        if number is None or send is None or ancillary:
            self._down_slowly(relay, source, size, ancillary)
            return
        relay.down.left -= size
        if relay.down.left < 0 and not relay.down.refill():
            relay.down.left += size
            self.counters.drop("bandwidth")
            return
        _HEADER.pack_into(self._buffer, 0, number, size)
        try:
            send(self._view[: size + 4], relay.client)  # type: ignore[arg-type]
        except OSError:
            self.counters.drop("send_error")
            return
        self.counters.packets_down += 1
        self.counters.bytes_down += size

    # Trains, indications and streams

    def _up_train(
        self,
        listener: Listener,
        source: SockAddress,
        size: int,
        ancillary: list[tuple[int, int, bytes]],
    ) -> None:
        """A train from one client: each run of equal payloads of one channel leaves as a train."""
        segment = _segment_size(ancillary, size)
        route = listener.clients.get(source)
        run: list[memoryview] = []
        target: Way | None = None
        for start in range(0, size, segment):
            datagram = self._payload[start : min(start + segment, size)]
            if route is None or len(datagram) < 4 or datagram[0] & 0xC0 != 0x40:
                self._control(listener, source, datagram)
                continue
            bound = route.get(datagram[0] << 8 | datagram[1])
            length = datagram[2] << 8 | datagram[3]
            if bound is None or length + 4 > len(datagram):
                self.counters.drop("unbound_channel" if bound is None else "bad_channel_data")
                continue
            if not self._may_pass(bound[0].up, length):
                continue
            # Only the last of a train may be shorter than the first.
            if run and (bound is not target or len(run[-1]) < len(run[0]) or length > len(run[0])):
                self._send_train_up(target, run)
                run = []
            target = bound
            run.append(datagram[4 : 4 + length])
        if run:
            self._send_train_up(target, run)

    def _send_train_up(self, target: Way | None, run: list[memoryview]) -> None:
        assert target is not None
        relay, peer, name = target
        if relay.two_named:
            self._tables.speak(relay, name, peer)
        if len(run) > 1 and len(run[0]):
            try:
                relay.sock.sendmsg(run, _segments_of(len(run[0])), 0, peer)
            except OSError:  # too big for the way out, or no such offload: one by one
                pass
            else:
                self._count_up(len(run), sum(map(len, run)))
                return
        for payload in run:
            self._send_up(relay, payload, peer)

    def _down_slowly(
        self,
        relay: Relay,
        source: SockAddress,
        size: int,
        ancillary: list[tuple[int, int, bytes]],
    ) -> None:
        """Everything but a single datagram for a channel of a UDP client."""
        if relay.flow is None or source[0] not in relay.permitted:
            self.counters.drop("no_permission")
            return
        segment = _segment_size(ancillary, size)
        number = relay.peers.get(source)
        payloads = [self._payload[at : min(at + segment, size)] for at in range(0, size, segment)]
        payloads = payloads or [self._payload[:0]]
        payloads = [p for p in payloads if self._may_pass(relay.down, len(p))]
        if number is None:
            named = Address(self._tables.named(relay, source), source[1])
            for payload in payloads:
                if len(payload) > _MOST_INDICATED[relay.family]:
                    self.counters.drop("too_long")
                    continue
                self._send_down(relay, self._data_indication(named, bytes(payload)), len(payload))
        elif relay.stream is not None or len(payloads) == 1:
            for payload in payloads:
                frame = _HEADER.pack(number, len(payload)) + payload
                self._send_down(relay, frame, len(payload))
        elif payloads:
            self._send_train_down(relay, number, payloads)

    def _send_train_down(self, relay: Relay, number: int, payloads: list[memoryview]) -> None:
        parts: list[bytes | memoryview] = []
        for payload in payloads:
            parts += (_HEADER.pack(number, len(payload)), payload)
        assert relay.flow is not None
        assert relay.client is not None
        sock = self._tables.listeners[relay.flow.server].sock
        try:
            sock.sendmsg(parts, _segments_of(4 + len(payloads[0])), 0, relay.client)
        except OSError:
            for payload in payloads:
                frame = _HEADER.pack(number, len(payload)) + payload
                self._send_down(relay, frame, len(payload))
        else:
            self.counters.packets_down += len(payloads)
            self.counters.bytes_down += sum(map(len, payloads))

    def _send_down(self, relay: Relay, data: bytes, size: int) -> None:
        """One frame to the client; `size` is the payload in it."""
        assert relay.client is not None
        if relay.stream is not None:
            if not relay.stream.send_frame(data + _NO_PADDING[len(data) & 3]):
                self.counters.drop("slow_client")
                return
        else:
            assert relay.send is not None
            try:
                relay.send(memoryview(data), relay.client)
            except OSError:
                self.counters.drop("send_error")
                return
        self.counters.packets_down += 1
        self.counters.bytes_down += size

    def _data_indication(self, peer: Address, payload: bytes) -> bytes:
        """RFC 8656 §11.3."""
        transaction_id = self._random(12)
        return encode_message(
            Method.DATA,
            MessageClass.INDICATION,
            transaction_id,
            (
                (Attribute.XOR_PEER_ADDRESS, pack_xor_address(peer, transaction_id)),
                (Attribute.DATA, payload),
            ),
        )

    def _control(self, listener: Listener, source: SockAddress, datagram: memoryview) -> None:
        if len(datagram) and datagram[0] & 0xC0 == 0:
            client = Address(source[0], source[1])
            flow = FiveTuple(Transport.UDP, client, listener.server)
            self._on_message(bytes(datagram), flow)
        else:
            self.counters.drop("not_stun")

    def _report_icmp(self, relay: Relay) -> None:
        for peer, error in read_icmp_errors(relay.sock):
            name = self._tables.named(relay, sock_address(*peer))
            self._on_icmp(relay.relay_id, Address(name, peer.port), error)


def _segment_size(ancillary: list[tuple[int, int, bytes]], size: int) -> int:
    """Length of each datagram of a train but the last."""
    for level, _, data in ancillary:
        if level == socket.IPPROTO_UDP:
            return int.from_bytes(data[:4], sys.byteorder) or max(size, 1)
    return max(size, 1)


def _segments_of(size: int) -> list[tuple[int, int, bytes]]:
    return [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
