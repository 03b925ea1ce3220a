"""One TCP or TLS client connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from turn.data_path import DataPath
from turn.five_tuple import FiveTuple
from turn.framing import BrokenStream, ChannelFrame, Framer, StunFrame
from turn.tls import TlsLayer

# A client that does not read loses media, as on a slow link, long before it costs memory.
_MEDIA_LIMIT = 256 * 1024
_HARD_LIMIT = 512 * 1024


class ConnectionOwner(Protocol):
    """What a connection needs of the process it lives in."""

    path: DataPath

    def stream_message(self, data: bytes, flow: FiveTuple) -> None: ...

    def stream_opened(self, connection: Connection) -> None: ...

    def stream_closed(self, connection: Connection) -> None: ...

    def stream_refused(self, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """Frames in, frames out; `turn.data_path.StreamSink` for the data path.

    `opened` says that the connection came to life, whatever became of it since. `frame_began` is
    when the TLS handshake or an incomplete frame began, 0.0 when there is neither;
    `without_allocation` since when the connection has no allocation, 0.0 while it has one;
    `ended` since when it ends: nothing is taken or sent any more but what waits to be sent.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        flow: FiveTuple,
        monotonic: Callable[[], float],
        tls: TlsLayer | None,
    ) -> None:
        self.flow = flow
        self.opened = False
        self.without_allocation = monotonic()
        self.frame_began = self.without_allocation if tls is not None else 0.0
        self.ended = 0.0
        self._tls = tls
        self._owner = owner
        self._monotonic = monotonic
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._slow = False

    @property
    def established(self) -> bool:
        """Whether messages may come: at once over TCP, after the handshake over TLS."""
        return self._tls is None or self._tls.established

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened = True
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_MEDIA_LIMIT, low=_MEDIA_LIMIT // 4)
        self._owner.stream_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._owner.stream_closed(self)

    def eof_received(self) -> bool:
        self._end()
        return False  # nothing is left to say to a client that has said its last

    def data_received(self, data: bytes) -> None:
        if self._tls is not None and not (data := self._decrypt(self._tls, data)):
            return
        try:
            for frame in self._framer.feed(data):
                match frame:
                    case ChannelFrame(number, payload):
                        self._owner.path.forward(self.flow, number, payload)
                    case StunFrame(message):
                        self._owner.stream_message(message, self.flow)
                self.frame_began = 0.0
        except BrokenStream:
            self._owner.stream_refused("broken_stream")
            self.abort()
            return
        if not self._framer.pending:
            self.frame_began = 0.0
        elif not self.frame_began:
            self.frame_began = self._monotonic()

    def _decrypt(self, tls: TlsLayer, data: bytes) -> bytes:
        began = tls.established
        try:
            plain = tls.receive(data)
        except ssl.SSLError:
            self._owner.stream_refused("broken_stream" if began else "handshake_failed")
            self._write(tls.outgoing())  # the alert that says why
            self.abort()
            return b""
        self._write(tls.outgoing())
        if tls.established and not began:
            self.frame_began = 0.0
        if tls.finished:
            self.close()
        return plain

    def pause_writing(self) -> None:
        self._slow = True

    def resume_writing(self) -> None:
        self._slow = False

    def send_frame(self, frame: bytes) -> bool:
        """Media: dropped while the client reads too slowly, and once the connection ends."""
        if self._slow or self.ended or self._transport is None:
            return False
        self._write(frame if self._tls is None else self._tls.encrypt(frame))
        return True

    def send_message(self, data: bytes) -> None:
        """An answer: a client that piles these up unread is cut off."""
        if self.ended or self._transport is None:
            return
        self._write(data if self._tls is None else self._tls.encrypt(data))
        if self._transport.get_write_buffer_size() > _HARD_LIMIT:
            self.abort()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """End it once what waits has been sent, which is never where the client does not read;
        see `Acceptor.sweep`."""
        if self._transport is not None and not self.ended:
            self._end()
            if self._tls is not None:
                self._write(self._tls.farewell())
            self._transport.close()

    def abort(self) -> None:
        self._end()
        if self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        self.ended = self.ended or self._monotonic()
