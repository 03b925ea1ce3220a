"""Encoded frames sealed for a forwarder that can read none: docs/protocol.md section 9.4.

Pure: keys, counters and time are handed in. `web/js/frames.js` is the browsers' implementation;
`tests/vectors/frames.json` holds both. Not for several threads at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Kind = Literal["audio", "video"]

TAG_BYTES: Final = 16
TRAILER: Final = struct.Struct(">BHI")  # stream, epoch, counter
OVERHEAD: Final = TAG_BYTES + TRAILER.size
LAST_COUNTER: Final = 0xFFFF_FFFF
LAST_EPOCH: Final = 0xFFFF
WINDOW: Final = 2048
"""How far a frame may come behind the newest of its stream, in counters of its sender."""
KEYS_MOST: Final = 4  # of one sender at once; the oldest goes
STREAMS: Final = 256
OVERLAP_MS: Final = 2000.0
_LABEL: Final = b"konsil/1 frame\0"


class Fault(StrEnum):
    """Why a frame was not let through. NO_KEY: none of this epoch, perhaps not yet."""

    SHORT = "short"
    NO_KEY = "no_key"
    REPLAYED = "replayed"
    UNSEALING_FAILED = "unsealing_failed"


class FrameError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Trailer:
    """What a frame says of itself, not to be believed before it has opened."""

    stream: int
    epoch: int
    counter: int


def clear_length(kind: Kind, frame: bytes) -> int:
    """Bytes that stay readable: Opus' TOC byte (RFC 6716 section 3.1), VP8's frame tag, and of a
    key frame its start code and size (RFC 6386 section 9.1). Sealed or not makes no difference."""
    if kind == "audio":
        return 1
    return 10 if frame and not frame[0] & 1 else 3


def context_of(room: str, sender: str, source: str) -> bytes:
    """Binds a frame to who sends it from where."""
    parts = (text.encode() for text in (room, sender, source))
    return _LABEL + b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def seal_frame(key: AESGCM, context: bytes, kind: Kind, trailer: Trailer, frame: bytes) -> bytes:
    """`trailer.counter` never twice under one key. Raises FrameError SHORT."""
    at = clear_length(kind, frame)
    if len(frame) < at:
        raise FrameError(Fault.SHORT)
    clear = frame[:at]
    end = TRAILER.pack(trailer.stream, trailer.epoch, trailer.counter)
    return clear + key.encrypt(_nonce(trailer), frame[at:], context + clear + end) + end


def trailer_of(kind: Kind, sealed: bytes) -> Trailer:
    """Raises FrameError SHORT."""
    if len(sealed) < clear_length(kind, sealed) + OVERHEAD:
        raise FrameError(Fault.SHORT)
    return Trailer(*TRAILER.unpack_from(sealed, len(sealed) - TRAILER.size))


def open_frame(key: AESGCM, context: bytes, kind: Kind, sealed: bytes) -> bytes:
    """Raises FrameError SHORT and UNSEALING_FAILED."""
    trailer = trailer_of(kind, sealed)
    at, end = clear_length(kind, sealed), len(sealed) - TRAILER.size
    clear = sealed[:at]
    try:
        return clear + key.decrypt(_nonce(trailer), sealed[at:end], context + clear + sealed[end:])
    except InvalidTag:
        raise FrameError(Fault.UNSEALING_FAILED) from None


def _nonce(trailer: Trailer) -> bytes:
    return bytes(8) + trailer.counter.to_bytes(4, "big")


class ReplayWindow:
    """Which counters of one stream were taken: the newest, and WINDOW before it."""

    def __init__(self) -> None:
        self._newest, self._taken = -1, 0  # of `_taken` bit n stands for `_newest` - n

    def is_fresh(self, counter: int) -> bool:
        behind = self._newest - counter
        return behind < 0 or (behind < WINDOW and not self._taken >> behind & 1)

    def take(self, counter: int) -> None:
        """A fresh one, of a frame that has opened."""
        ahead = counter - self._newest
        if ahead <= 0:
            self._taken |= 1 << -ahead
            return
        kept = self._taken << ahead if ahead < WINDOW else 0
        self._newest, self._taken = counter, (kept | 1) & ((1 << WINDOW) - 1)


class FrameSealer:
    """What one page sends: one key at a time, one counter for all of its frames."""

    def __init__(self) -> None:
        self._key: AESGCM | None = None
        self._epoch, self._counter, self._streams = -1, 0, 0

    def set_key(self, epoch: int, key: bytes | None) -> None:
        """`epoch` rises and `key` was never used before; None: nothing is sealed any more."""
        if key is not None and epoch <= self._epoch:
            return
        self._key = AESGCM(key) if key is not None else None
        self._epoch, self._counter = epoch, 0

    def new_stream(self) -> int:
        """Names one encoding of one source, so that its replay window is its own."""
        self._streams += 1
        return (self._streams - 1) % STREAMS

    def seal(self, context: bytes, kind: Kind, stream: int, frame: bytes) -> bytes:
        """Raises FrameError NO_KEY and SHORT."""
        if self._key is None or self._counter > LAST_COUNTER:
            raise FrameError(Fault.NO_KEY)
        trailer = Trailer(stream, self._epoch, self._counter)
        self._counter += 1
        return seal_frame(self._key, context, kind, trailer, frame)


@dataclass(slots=True)
class _OpeningKey:
    key: AESGCM
    until_ms: float = float("inf")
    windows: dict[tuple[str, int], ReplayWindow] = field(default_factory=dict)


class FrameOpener:
    """The frames of one sender."""

    def __init__(self) -> None:
        self._keys: dict[int, _OpeningKey] = {}
        self._newest = -1

    def add_key(self, epoch: int, key: bytes) -> None:
        if epoch in self._keys:
            return
        self._keys[epoch] = _OpeningKey(AESGCM(key))
        for old in sorted(self._keys)[:-KEYS_MOST]:
            del self._keys[old]

    def open(self, context: bytes, kind: Kind, source: str, sealed: bytes, now_ms: float) -> bytes:
        """Raises FrameError."""
        trailer = trailer_of(kind, sealed)
        known = self._keys.get(trailer.epoch)
        if known is None or now_ms > known.until_ms:
            raise FrameError(Fault.NO_KEY)
        name = (source, trailer.stream)
        window = known.windows.get(name) or ReplayWindow()
        if not window.is_fresh(trailer.counter):
            raise FrameError(Fault.REPLAYED)
        frame = open_frame(known.key, context, kind, sealed)
        # Only what has opened may move a window, or anybody could.
        window.take(trailer.counter)
        known.windows[name] = window
        self._used(trailer.epoch, now_ms)
        return frame

    def _used(self, epoch: int, now_ms: float) -> None:
        """Whoever was thrown out when the sender went over to this key has the older ones."""
        if epoch <= self._newest:
            return
        self._newest = epoch
        for older, entry in self._keys.items():
            if older < epoch:
                entry.until_ms = min(entry.until_ms, now_ms + OVERLAP_MS)
