"""docs/protocol.md, "Frames", a second time, in Python: makes and checks the known answers.

``web/js/frames.js`` is checked against the same file by ``tests/web/frames.test.mjs``. After a
change of the protocol ``python tests/unit/test_frame_vectors.py`` writes it anew.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = Path(__file__).parents[1] / "vectors" / "frames.json"
TAG = 16
TRAILER = 7
ROOM = "r" * 22
SENDER = "s" * 22


def lp(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def clear_length(kind: str, frame: bytes) -> int:
    if kind == "audio":
        return 1
    return 3 if frame[0] & 1 else 10


def sealing(vector: dict[str, Any], clear: bytes, trailer: bytes) -> tuple[bytes, bytes]:
    """Give nonce and additional data."""
    context = b"konsil/1 frame\0" + lp(vector["room"]) + lp(vector["sender"]) + lp(vector["source"])
    return bytes(8) + trailer[3:], context + clear + trailer


def seal(vector: dict[str, Any]) -> bytes:
    frame = bytes.fromhex(vector["frame"])
    at = clear_length(vector["kind"], frame)
    trailer = (
        vector["stream"].to_bytes(1, "big")
        + vector["epoch"].to_bytes(2, "big")
        + vector["counter"].to_bytes(4, "big")
    )
    nonce, aad = sealing(vector, frame[:at], trailer)
    body = AESGCM(bytes.fromhex(vector["key"])).encrypt(nonce, frame[at:], aad)
    return frame[:at] + body + trailer


def unseal(vector: dict[str, Any], sealed: bytes) -> bytes:
    at = clear_length(vector["kind"], sealed)
    trailer = sealed[-TRAILER:]
    nonce, aad = sealing(vector, sealed[:at], trailer)
    body = AESGCM(bytes.fromhex(vector["key"])).decrypt(nonce, sealed[at:-TRAILER], aad)
    return sealed[:at] + body


def filler(name: str, length: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(length)


def make() -> list[dict[str, Any]]:
    delta, key = b"\x31\x02\x00", b"\x50\x42\x00\x9d\x01\x2a\x00\x05\xd0\x02"
    frames = [
        ("opus", "audio", "microphone", 0, 0, 0, b"\x78" + filler("opus", 60)),
        ("opus, nothing but its TOC byte", "audio", "microphone", 0, 0, 1, b"\x78"),
        ("vp8 key frame", "video", "camera", 3, 1, 2, key + filler("key frame", 200)),
        ("vp8 delta frame", "video", "camera", 3, 1, 3, delta + filler("delta frame", 40)),
        ("the last of all", "video", "screen", 255, 0xFFFF, 0xFFFFFFFF, delta + filler("last", 9)),
    ]
    vectors = []
    for what, kind, source, stream, epoch, counter, frame in frames:
        vector: dict[str, Any] = {
            "what": what,
            "room": ROOM,
            "sender": SENDER,
            "source": source,
            "kind": kind,
            "stream": stream,
            "epoch": epoch,
            "counter": counter,
            "key": filler(f"key of {what}", 32).hex(),
            "frame": frame.hex(),
        }
        vectors.append(vector | {"sealed": seal(vector).hex()})
    return vectors


KNOWN: list[dict[str, Any]] = json.loads(VECTORS.read_text()) if VECTORS.exists() else []


def test_the_file_is_what_this_module_makes() -> None:
    assert make() == KNOWN


@pytest.mark.parametrize("vector", KNOWN, ids=lambda vector: str(vector["what"]))
def test_known_frames_open_and_nothing_of_them_can_be_changed(vector: dict[str, Any]) -> None:
    sealed = bytes.fromhex(vector["sealed"])
    assert unseal(vector, sealed).hex() == vector["frame"]
    assert len(sealed) == len(vector["frame"]) // 2 + TAG + TRAILER
    for at in {0, 1, len(sealed) // 2, *range(len(sealed) - TRAILER, len(sealed))}:
        changed = bytearray(sealed)
        changed[at] ^= 0x80
        with pytest.raises(InvalidTag):
            unseal(vector, bytes(changed))
    for member in ("room", "sender", "source"):
        with pytest.raises(InvalidTag):
            unseal(vector | {member: "somebody else"}, sealed)


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make(), indent=2) + "\n")
