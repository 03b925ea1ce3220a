"""One TCP or TLS client connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from turn.address import Address
from turn.data_path import DataPath
from turn.five_tuple import FiveTuple, Transport
from turn.framing import BrokenStream, ChannelFrame, Framer, StunFrame

# A client that does not read loses media, as on a slow link, long before it costs memory.
_MEDIA_LIMIT = 256 * 1024
_HARD_LIMIT = 512 * 1024


class ConnectionOwner(Protocol):
    """What a connection needs of the process it lives in."""

    path: DataPath

    def stream_message(self, data: bytes, flow: FiveTuple) -> None: ...

    def stream_opened(self, connection: Connection) -> None: ...

    def stream_closed(self, connection: Connection) -> None: ...

    def stream_broken(self) -> None: ...


class Connection(asyncio.Protocol):
    """Frames in, frames out; `turn.data_path.StreamSink` for the data path.

    `opened` says that the connection came to life, whatever became of it since. `frame_began` is
    when the first byte of an incomplete frame came, 0.0 when there is none; `without_allocation`
    since when the connection has no allocation, 0.0 while it has one.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        transport: Transport,
        client: Address,
        server: Address,
        monotonic: Callable[[], float],
    ) -> None:
        self.flow = FiveTuple(transport, client, server)
        self.opened = False
        self.frame_began = 0.0
        self.without_allocation = monotonic()
        self._owner = owner
        self._monotonic = monotonic
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._slow = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened = True
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_MEDIA_LIMIT, low=_MEDIA_LIMIT // 4)
        self._owner.stream_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._owner.stream_closed(self)

    def eof_received(self) -> bool:
        return False  # nothing is left to say to a client that has said its last

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._framer.feed(data):
                match frame:
                    case ChannelFrame(number, payload):
                        self._owner.path.forward(self.flow, number, payload)
                    case StunFrame(message):
                        self._owner.stream_message(message, self.flow)
                self.frame_began = 0.0
        except BrokenStream:
            self._owner.stream_broken()
            self.abort()
            return
        if not self._framer.pending:
            self.frame_began = 0.0
        elif not self.frame_began:
            self.frame_began = self._monotonic()

    def pause_writing(self) -> None:
        self._slow = True

    def resume_writing(self) -> None:
        self._slow = False

    def send_frame(self, frame: bytes) -> bool:
        """Media: dropped while the client reads too slowly."""
        if self._slow or self._transport is None:
            return False
        self._transport.write(frame)
        return True

    def send_message(self, data: bytes) -> None:
        """An answer: a client that piles these up unread is cut off."""
        if self._transport is None:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _HARD_LIMIT:
            self.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
