"""Which codecs, feedback and header extensions we agree to (RFC 4585, 4588, 7587, 8285).

Nothing is decoded here, so what is agreed to is what the core can forward: frames that are
encrypted end to end keep a clear prefix for some codecs only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sfu.interfaces import Codec, Extension, Kind
from sfu.sdp.offer import OfferedCodec, OfferedSection

AUDIO_CODECS: Final = ("opus",)
VIDEO_CODECS: Final = ("VP8",)

_CLOCKS: Final = {"opus": (48_000, 2), "vp8": (90_000, 1)}
_FEEDBACK: Final = {
    Kind.AUDIO: ("transport-cc",),
    Kind.VIDEO: ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"),
}
# What we ask of a sender of Opus beyond the default: it may be lost, and it may be silent.
_OPUS_PARAMETERS: Final = ("minptime", "useinbandfec", "usedtx")

_MAX_EXTENSION_ID: Final = (
    14  # one-byte headers (RFC 8285 §4.2); a=extmap-allow-mixed is not agreed
)
_UPSTREAM: Final = {
    Kind.AUDIO: (
        Extension.MID,
        Extension.ABS_SEND_TIME,
        Extension.TRANSPORT_CC,
        Extension.AUDIO_LEVEL,
    ),
    Kind.VIDEO: (
        Extension.MID,
        Extension.RID,
        Extension.REPAIRED_RID,
        Extension.ABS_SEND_TIME,
        Extension.TRANSPORT_CC,
    ),
}
_RIDS: Final = (Extension.RID, Extension.REPAIRED_RID)


def agreed_codecs(section: OfferedSection) -> dict[int, Codec]:
    """Media payload types we agree to, in the order offered; the first of each codec."""
    kind = Kind(section.kind)
    known = AUDIO_CODECS if kind is Kind.AUDIO else VIDEO_CODECS
    repairs = _repairs(section.codecs)
    agreed: dict[int, Codec] = {}
    names: set[str] = set()
    for offered in section.codecs:
        name = offered.name.lower()
        if name in names or not any(name == codec.lower() for codec in known):
            continue
        if (offered.clock, offered.channels) != _CLOCKS[name]:
            continue
        names.add(name)
        agreed[offered.pt] = Codec(
            name=next(codec for codec in known if codec.lower() == name),
            clock=offered.clock,
            rtx_pt=repairs.get(offered.pt),
            fmtp=_fmtp(name, offered.fmtp),
            feedback=frozenset(item for item in _FEEDBACK[kind] if item in offered.feedback),
        )
    return agreed


def agreed_extensions(section: OfferedSection, *, upstream: bool) -> dict[str, int]:
    """Extensions by id, the page's own numbers; `upstream` where the page sends."""
    agreed: dict[str, int] = {}
    for extension in _UPSTREAM[Kind(section.kind)]:
        number = section.extensions.get(extension)
        if number is None or number > _MAX_EXTENSION_ID:
            continue
        if upstream or extension not in _RIDS:
            agreed[extension] = number
    return agreed


def feedback_lines(kind: Kind, feedback: frozenset[str]) -> tuple[str, ...]:
    """The feedback of a codec in one order, so that equal offers have equal answers."""
    return tuple(item for item in _FEEDBACK[kind] if item in feedback)


def _repairs(codecs: tuple[OfferedCodec, ...]) -> Mapping[int, int]:
    """Payload type of media to the one that repairs it, from `apt` (RFC 4588 §8.6)."""
    found: dict[int, int] = {}
    for codec in codecs:
        if codec.name.lower() == "rtx":
            apt = _parameters(codec.fmtp).get("apt", "")
            if apt:
                found.setdefault(int(apt), codec.pt)
    return found


def _fmtp(name: str, offered: str) -> str:
    if name != "opus":
        return ""
    given = {**_parameters(offered), "useinbandfec": "1"}
    return ";".join(f"{key}={given[key]}" for key in _OPUS_PARAMETERS if key in given)


def _parameters(fmtp: str) -> dict[str, str]:
    """Parameters whose value is a small number; no others are of use to us."""
    found: dict[str, str] = {}
    for item in fmtp.split(";"):
        key, _, value = item.strip().partition("=")
        if value.isascii() and value.isdecimal() and len(value) <= 4:
            found.setdefault(key.lower(), value)
    return found
