"""Unmasking of client frames (RFC 6455 section 5.3)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

_XOR: Final = tuple(bytes(a ^ b for a in range(256)) for b in range(256))  # 64 KiB, once
_LONG: Final = 1024  # bytes; above it four table passes beat one XOR of big integers


def unmask_portably(mask: bytes, payload: bytes) -> bytes:
    """`payload` XOR the repeated four bytes of `mask`, without any extension module."""
    size = len(payload)
    if size <= _LONG:
        stream = (mask * (size + 3 >> 2))[:size]
        return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(
            size, "big"
        )
    out = bytearray(size)
    for lane in range(4):
        out[lane::4] = payload[lane::4].translate(_XOR[mask[lane]])
    return bytes(out)


def _compiled() -> Callable[[bytes, bytearray], None] | None:
    """aiohttp's own XOR in C, in place. It is private there, hence looked up with care: without it
    a 300-byte message costs half a microsecond more and nothing else changes (docs/adr/0003)."""
    try:
        xor = import_module("aiohttp._websocket.mask")._websocket_mask_cython
    except (ImportError, AttributeError):
        return None
    probe = bytearray(b"\x00\x01\x02\x03\x04")
    try:
        xor(b"\x01\x02\x03\x04", probe)
    except TypeError:
        return None
    if probe != b"\x01\x03\x01\x07\x05":
        return None
    return cast("Callable[[bytes, bytearray], None]", xor)


def _choose() -> Callable[[bytes, bytes], bytes]:
    xor = _compiled()
    if xor is None:
        return unmask_portably

    def unmask_compiled(mask: bytes, payload: bytes) -> bytes:
        out = bytearray(payload)
        xor(mask, out)
        return bytes(out)

    return unmask_compiled


unmask: Final = _choose()
