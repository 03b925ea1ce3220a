"""One source on its way to one subscriber: the numbers that make the publisher's packets ours.

A `Leg` is plain data. `sfu.fanout` reads and writes it for every packet; whoever decides what the
subscriber gets (`sfu.subscription`) writes it between packets.

Sequence numbers here are extended (they do not wrap). A number handed out is never used for a
second packet: with AES-GCM that would be the same nonce twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from sfu.downlink import Downlink
from sfu.sequence import FIRST_CYCLE
from sfu.vp8 import Vp8Descriptor

RING = 512
"""Packets back that a leg can still name: for retransmission, and to put late ones in place."""

HOLE = -1  # a number left free for a packet that has not come
EMPTY = -2  # a number filled with a packet without payload
_MARKS = 64  # changes of the offsets remembered; packets from before the oldest are dropped

Mark = tuple[int, int, int]


class Leg:
    """State of the rewriting. `offset` and its like are what is added to the publisher's number.

    `sent[n % RING]` is what went out as number n: `number << 2 | layer` of the publisher's packet,
    or HOLE or EMPTY. `described[n % RING]` is `picture_id << 8 | tl0` as it went out.
    """

    __slots__ = (
        "_rtx_ssrc", "abs_send_time", "base", "constant", "described", "downlink", "first",
        "first_word", "highest", "key_index", "key_index_offset", "last_at", "layer", "limit",
        "limit_before", "limit_changed", "marks", "mid", "octets", "offset", "picture_id",
        "picture_id_offset", "plain", "rtx_constant", "rtx_first_word", "rtx_sequence", "send",
        "sent", "skipped", "start", "target_limit", "timestamp", "timestamp_offset", "tl0",
        "tl0_offset", "transport_cc", "word",
    )  # fmt: skip

    def __init__(
        self,
        downlink: Downlink,
        *,
        ssrc: int,
        rtx_ssrc: int | None,
        transport_cc: int | None,
        abs_send_time: int | None,
        mid: bytes,
        first: int,
        first_rtx: int,
    ) -> None:
        """`transport_cc` and `abs_send_time` are extension ids; the latter is used only without
        the former. `mid` is a whole extension element, padded to four bytes, or empty."""
        self.downlink = downlink
        self.send: Callable[[int], None] = downlink.send
        # Of the packed header: version and payload type, then SSRC and the extension's profile,
        # and one word of extensions.
        self.first_word = 0x9000
        self.constant = ssrc << 32 | 0xBEDE0001
        self.transport_cc = transport_cc is not None
        self.abs_send_time = not self.transport_cc and abs_send_time is not None
        self.word = 0
        if transport_cc is not None:
            self.word = (transport_cc << 4 | 1) << 24
        elif abs_send_time is not None:
            self.word = (abs_send_time << 4 | 2) << 24
        self.mid = mid
        self.plain = self.transport_cc and not mid
        self.rtx_first_word = 0x9000
        self.rtx_constant = 0
        self._rtx_ssrc = rtx_ssrc
        self.rtx_sequence = first_rtx

        self.layer = 0
        self.offset = 0
        self.timestamp_offset = 0
        self.picture_id_offset = 0
        self.tl0_offset = 0
        self.key_index_offset = 0
        self.start = 0  # the publisher's number this run began with; older ones are not ours
        self.first = FIRST_CYCLE + first
        self.base = self.first  # our number this run began with
        self.marks: list[Mark] = []

        self.highest = self.base - 1
        # Of the newest packet that went out, as it went out; kept up only when a run ends.
        self.timestamp = -1  # -1 before the first run
        self.last_at = 0.0
        self.picture_id = 0
        self.tl0 = 0
        self.key_index = 0
        # Arrays, for lists would keep an object for every number.
        self.sent = array("q", [HOLE]) * RING
        self.described = array("i", [0]) * RING
        self.octets = 0

        # Temporal layers above `limit` are not forwarded. It follows `target_limit` where a
        # frame begins that allows it.
        self.limit = 3
        self.limit_before = 3
        self.limit_changed = 0
        self.target_limit = 3
        self.skipped = -1  # PictureID of the frame left out last, as the publisher numbers it

    def set_payload_types(self, payload_type: int, rtx_payload_type: int | None) -> None:
        """The types of this subscriber for the publisher's codec; no leg sends before that."""
        self.first_word = 0x9000 | payload_type
        self.rtx_constant = 0
        if self._rtx_ssrc is not None and rtx_payload_type is not None:
            self.rtx_first_word = 0x9000 | rtx_payload_type
            self.rtx_constant = self._rtx_ssrc << 32 | 0xBEDE0001

    @property
    def ssrc(self) -> int:
        return self.constant >> 32

    @property
    def can_repeat(self) -> bool:
        """Whether there is a stream to retransmit on. Without one NACKs are not answered: the
        same number again would be the same nonce again."""
        return self.rtx_constant != 0

    @property
    def packets(self) -> int:
        """Packets sent, for sender reports: the numbers used so far."""
        return self.highest + 1 - self.first

    def reported(self) -> None:
        """The subscriber has reported on our SSRC, so it knows where that belongs."""
        self.mid = b""
        self.plain = self.transport_cc

    def begin(self, layer: int, number: int, timestamp_offset: int) -> None:
        """Go on with the stream of which this number is the next packet, without a gap in ours."""
        self.layer = layer
        self.start = number
        self.base = self.highest + 1
        self.offset = self.base - number
        self.timestamp_offset = timestamp_offset
        self.skipped = -1
        self.marks = [(number, self.offset, self.picture_id_offset)]
        self.limit = self.limit_before = self.target_limit

    def begin_pictures(self, picture_id: int, tl0: int, key_index: int) -> None:
        """Make this frame of the new stream follow the last one that went out."""
        self.picture_id_offset = self.picture_id + 1 - picture_id
        self.tl0_offset = self.tl0 + 1 - tl0
        self.key_index_offset = self.key_index + 1 - key_index
        self.marks = [(self.start, self.offset, self.picture_id_offset)]

    def leave_out(self, number: int) -> None:
        """The newest packet of the publisher is not for this subscriber: close the gap."""
        self.offset -= 1
        mark = (number + 1, self.offset, self.picture_id_offset)
        marks = self.marks
        if marks[-1][0] == number:
            marks[-1] = mark
        else:
            marks.append(mark)
            if len(marks) > _MARKS:
                del marks[0]

    def leave_open(self, first: int, end: int) -> None:
        """The publisher's packets from `first` to before `end` are missing: keep their places."""
        sent, offset = self.sent, self.offset
        for number in range(first + offset, end + offset):
            sent[number & (RING - 1)] = HOLE
        self.highest = max(self.highest, end + offset - 1)

    def leave_gap_out(self, first: int, end: int) -> None:
        """The publisher jumped over so many numbers that none of them is waited for."""
        self.offset -= end - first
        self.start = end
        self.base = self.highest + 1
        self.marks = [(end, self.offset, self.picture_id_offset)]

    def place(self, number: int) -> Mark | None:
        """The mark under which a late packet belongs, when its place is still open."""
        if number < self.start:
            return None
        for mark in reversed(self.marks):
            if number >= mark[0]:
                ours = number + mark[1]
                if (
                    self.base <= ours <= self.highest
                    and self.highest - ours < RING
                    and self.sent[ours & (RING - 1)] == HOLE
                ):
                    return mark
                return None
        return None

    def retune(self, number: int, vp8: Vp8Descriptor) -> None:
        """Where a frame begins: let the temporal limit follow its target if this frame allows.

        Down at once. Up by one layer, at a frame of that layer that needs only the lowest
        (the Y bit, RFC 7741 §4.2), or all the way at a key frame.
        """
        limit = self.limit
        if self.target_limit < limit or vp8.key:
            limit = self.target_limit
        elif limit < self.target_limit and vp8.tid == limit + 1 and vp8.sync:
            limit = vp8.tid
        if limit != self.limit:
            self.limit_before = self.limit
            self.limit = limit
            self.limit_changed = number
