"""The interface between the protocol and whatever moves the packets.

Everything a packet in flight needs is told here in advance, so the hot loops behind it look up
and send, and ask nobody. `turn.python_path` implements it in Python; a native one can take its
place without a change to core or shell.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from turn.address import Address, Family
from turn.five_tuple import FiveTuple

MessageSink = Callable[[bytes, FiveTuple], None]
IcmpSink = Callable[[int, Address, bytes], None]


class StreamSink(Protocol):
    """A TCP or TLS client as the data path sees it."""

    def send_frame(self, frame: bytes) -> bool:
        """Send a whole padded frame; False when the client reads too slowly and it is dropped."""
        ...


@dataclass(slots=True)
class PathCounters:
    """Relayed and dropped so far; up is client to peer."""

    packets_up: int = 0
    bytes_up: int = 0
    packets_down: int = 0
    bytes_down: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count


class DataPath(Protocol):
    """Relay sockets, UDP listeners and the forwarding between them.

    Numbers of relay sockets come from the core. Calls about a closed one do nothing.
    """

    counters: PathCounters

    def listen(self, sock: socket.socket, server: Address) -> None:
        """Serve UDP clients on this bound socket; what is not ChannelData goes to the sink."""

    def open_relay(self, relay_id: int, family: Family, host: str, port: int) -> None:
        """Bind a relay socket; raises OSError."""

    def attach(
        self, relay_id: int, flow: FiveTuple, stream: StreamSink | None, meter: int = 0
    ) -> None:
        """Give the relay socket its client; `stream` is None for UDP. With a meter that is open
        its bytes count there, in place of a bandwidth."""

    def open_meter(self, meter: int, size: int) -> None:
        """`size` bytes may pass through all that is attached with it, both ways together."""

    def close_meter(self, meter: int) -> None: ...

    def close_relay(self, relay_id: int) -> None: ...

    def permit(self, relay_id: int, host: str) -> None: ...

    def revoke(self, relay_id: int, host: str) -> None: ...

    def bind_channel(self, relay_id: int, number: int, peer: Address) -> None: ...

    def unbind_channel(self, relay_id: int, number: int) -> None: ...

    def transmit(
        self, relay_id: int, peer: Address, payload: bytes, *, dont_fragment: bool
    ) -> None:
        """Send one payload of a Send indication."""

    def forward(self, flow: FiveTuple, number: int, payload: memoryview) -> None:
        """Send the payload of ChannelData that came over a stream."""

    def reply(self, flow: FiveTuple, data: bytes) -> None:
        """Send a message to a UDP client."""

    def fileno(self) -> int:
        """Readable when `drain` has something to do."""

    def drain(self) -> None:
        """Move what has come, a bounded batch of it."""

    def close(self) -> None: ...
