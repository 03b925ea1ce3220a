"""The bots' frames are those of docs/protocol.md section 9.4, and their keys those of 9.5."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loadtest.framekeys import HAND_OUT_MS, Forget, FrameKeys, OpenWith, Output, SealWith, Tell
from loadtest.frames import (
    KEYS_MOST,
    OVERHEAD,
    OVERLAP_MS,
    WINDOW,
    Fault,
    FrameError,
    FrameOpener,
    FrameSealer,
    ReplayWindow,
    Trailer,
    context_of,
    open_frame,
    seal_frame,
)

KNOWN = json.loads((Path(__file__).parents[1] / "vectors" / "frames.json").read_text())
KEY = bytes(range(32))
CONTEXT = context_of("r" * 22, "s" * 22, "camera")
DELTA = b"\x31\x02\x00" + b"picture"


@pytest.mark.parametrize("vector", KNOWN, ids=lambda vector: str(vector["what"]))
def test_known_frames(vector: dict[str, Any]) -> None:
    key, frame = AESGCM(bytes.fromhex(vector["key"])), bytes.fromhex(vector["frame"])
    context = context_of(vector["room"], vector["sender"], vector["source"])
    trailer = Trailer(vector["stream"], vector["epoch"], vector["counter"])
    sealed = bytes.fromhex(vector["sealed"])
    assert seal_frame(key, context, vector["kind"], trailer, frame) == sealed
    assert open_frame(key, context, vector["kind"], sealed) == frame
    assert len(sealed) == len(frame) + OVERHEAD
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x80
        with pytest.raises(FrameError):
            open_frame(key, context, vector["kind"], bytes(changed))
    elsewhere = context_of(vector["room"], vector["sender"], "somewhere else")
    with pytest.raises(FrameError, match="unsealing_failed"):
        open_frame(key, elsewhere, vector["kind"], sealed)


@pytest.mark.parametrize(
    ("kind", "frame"), [("audio", b""), ("video", b"\x31\x02"), ("video", b"")]
)
def test_what_is_too_short_is_refused(kind: Any, frame: bytes) -> None:
    with pytest.raises(FrameError, match="short"):
        seal_frame(AESGCM(KEY), CONTEXT, kind, Trailer(0, 0, 0), frame)
    with pytest.raises(FrameError, match="short"):
        open_frame(AESGCM(KEY), CONTEXT, kind, frame + bytes(OVERHEAD - 1))


def test_each_counter_is_taken_once_and_none_from_long_ago() -> None:
    window = ReplayWindow()
    for counter in (0, 5, 3, 5 + WINDOW, 6, 4 * WINDOW):
        assert window.is_fresh(counter)
        window.take(counter)
        assert not window.is_fresh(counter)
    assert not window.is_fresh(3 * WINDOW)
    assert window.is_fresh(3 * WINDOW + 1)
    assert not window.is_fresh(5 + WINDOW)


def _fault(opener: FrameOpener, sealed: bytes, now: float) -> Fault | None:
    try:
        opener.open(CONTEXT, "video", "camera", sealed, now)
    except FrameError as refusal:
        return refusal.fault
    return None


def test_frames_of_one_sender() -> None:
    sealer, opener = FrameSealer(), FrameOpener()
    stream = sealer.new_stream()
    with pytest.raises(FrameError, match="no_key"):
        sealer.seal(CONTEXT, "video", stream, DELTA)
    sealer.set_key(0, KEY)
    first, second = (sealer.seal(CONTEXT, "video", stream, DELTA) for _ in range(2))
    assert _fault(opener, first, 0) is Fault.NO_KEY
    opener.add_key(0, KEY)
    damaged = second[:-8] + bytes((second[-8] ^ 1,)) + second[-7:]
    assert _fault(opener, damaged, 0) is Fault.UNSEALING_FAILED
    assert _fault(opener, second, 0) is None
    assert _fault(opener, second, 0) is Fault.REPLAYED
    sealer.set_key(1, bytes(32))
    opener.add_key(1, bytes(32))
    assert _fault(opener, sealer.seal(CONTEXT, "video", stream, DELTA), 1000) is None
    assert _fault(opener, first, 1000 + OVERLAP_MS + 1) is Fault.NO_KEY


def test_counters_of_one_key_are_shared_by_all_streams_and_old_keys_go() -> None:
    sealer, opener = FrameSealer(), FrameOpener()
    sealer.set_key(3, KEY)
    sealed = [sealer.seal(CONTEXT, "video", sealer.new_stream(), DELTA) for _ in range(300)]
    assert len({frame[-4:] for frame in sealed}) == 300
    sealer.set_key(3, KEY)  # no epoch begins twice, so no nonce comes twice
    assert sealer.seal(CONTEXT, "video", 0, DELTA)[-4:] not in {frame[-4:] for frame in sealed}
    for epoch in range(3, 4 + KEYS_MOST):
        opener.add_key(epoch, KEY)
    assert _fault(opener, sealed[0], 0) is Fault.NO_KEY


class _Room:
    """Pages whose sealed messages reach one another when `carry` is called."""

    def __init__(self) -> None:
        self.pages: dict[str, FrameKeys] = {}
        self.sealing: dict[str, SealWith] = {}
        self.opens: dict[str, dict[tuple[str, int], bytes]] = {}
        self.held: dict[str, set[bytes]] = {}
        self.wire: list[tuple[str, Tell]] = []
        self.now = 0.0
        self._made = itertools.count(1)

    def _random(self, length: int) -> bytes:
        return next(self._made).to_bytes(length, "big")

    def note(self, id_: str, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Tell():
                    self.wire.append((id_, output))
                case SealWith():
                    self.sealing[id_] = output
                case OpenWith():
                    self.opens[id_][output.sender, output.epoch] = output.key
                    self.held[id_].add(output.key)
                case Forget():
                    known = self.opens[id_]
                    self.opens[id_] = {
                        of: key for of, key in known.items() if of[0] != output.sender
                    }

    def join(self, id_: str) -> None:
        page = FrameKeys(self._random)
        self.opens[id_] = {}
        self.held.setdefault(id_, set())
        for name, other in self.pages.items():
            self.note(name, other.opened(id_, self.now))
            self.note(id_, page.opened(name, self.now))
        self.pages[id_] = page

    def _cut(self, id_: str) -> None:
        del self.pages[id_]
        self.wire = [(by, tell) for by, tell in self.wire if id_ not in (by, tell.to)]

    def leave(self, id_: str) -> None:
        self._cut(id_)
        for name, other in self.pages.items():
            self.note(name, other.gone(id_))

    def reload(self, id_: str) -> None:
        self._cut(id_)
        for name, other in self.pages.items():
            self.note(name, other.lost(id_))
        self.join(id_)

    def carry(self) -> None:
        while self.wire:
            by, tell = self.wire.pop(0)
            if tell.to in self.pages:
                self.note(tell.to, self.pages[tell.to].received(by, tell.content["key"]))

    def all_hear(self) -> bool:
        return all(
            self.opens[one].get((other, self.sealing[other].epoch)) == self.sealing[other].key
            for one, other in itertools.permutations(self.pages, 2)
        )


def _room(*ids: str) -> _Room:
    room = _Room()
    for id_ in ids:
        room.join(id_)
        room.carry()
    return room


def test_all_can_open_what_the_others_send() -> None:
    room = _room("a", "b", "c")
    assert room.all_hear()
    assert len({made.key for made in room.sealing.values()}) == 3


def test_a_newcomer_gets_no_key_that_was_used_before() -> None:
    room = _room("a", "b")
    before = {made.key for made in room.sealing.values()}
    room.join("c")
    assert {room.sealing[id_].key for id_ in "ab"} == before, "not used before all have it"
    room.carry()
    assert room.all_hear()
    assert not before & room.held["c"]


def test_who_has_left_gets_none_of_what_follows() -> None:
    room = _room("a", "b", "c")
    room.leave("c")
    held = set(room.held["c"])
    room.carry()
    assert room.all_hear()
    assert not held & {room.sealing[id_].key for id_ in "ab"}


def test_who_does_not_confirm_delays_a_newcomer_by_a_second() -> None:
    room = _room("a", "b")
    epoch = room.sealing["a"].epoch
    room.now = 5000.0
    room.join("c")
    page = room.pages["a"]
    assert page.next_timeout() == 5000 + HAND_OUT_MS
    room.note("a", page.handle_timer(5000 + HAND_OUT_MS - 1))
    assert room.sealing["a"].epoch == epoch
    room.note("a", page.handle_timer(5000 + HAND_OUT_MS))
    assert room.sealing["a"].epoch == epoch + 1
    assert page.next_timeout() is None


def test_a_page_that_was_loaded_anew_hears_and_is_heard() -> None:
    room = _room("a", "b", "c")
    room.reload("b")
    room.carry()
    assert room.all_hear()
    room = _room("a", "b")
    room.reload("b")
    room.carry()
    assert room.all_hear()


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"epoch": True},
        {"epoch": -1},
        {"epoch": 65_536},
        {"epoch": 0, "key": None},
        {"epoch": 0, "key": "AAAA"},
        {"epoch": 0, "key": "A" * 43, "more": 1},
    ],
)
def test_what_is_no_key_is_refused(content: object) -> None:
    page = FrameKeys(bytes)
    page.opened("b", 0)
    with pytest.raises(ValueError, match=r"."):
        page.received("b", content)


def test_epochs_come_to_an_end() -> None:
    page = FrameKeys(bytes)
    for _ in range(65_536):
        page.opened("b", 0)
        page.gone("b")
        if page._next_epoch > 65_535:
            break
    assert page.opened("b", 0)[-1] == SealWith(65_535, None)
