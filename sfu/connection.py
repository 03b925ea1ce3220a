"""One page's transport: its paths, its DTLS association, and SRTP both ways, without a socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from OpenSSL import SSL

from sfu.counters import TransportCounters
from sfu.demultiplexing import is_rtcp
from sfu.dtls import DtlsServer, DtlsState
from sfu.ice_lite import IceAgent, Judgement, Verdict
from sfu.interfaces import MAX_PACKET
from sfu.path import Path
from sfu.route import Route
from sfu.sdp.offer import SessionOffer
from sfu.srtp import MAX_TRAILER, PacketBuffer, SrtpSession, reason

MAX_SSRCS: Final = 256  # that one page may send with during one association; more are dropped
SILENT_SECONDS: Final = 15.0  # without a valid check, and the page is gone
CONNECT_SECONDS: Final = 30.0  # from the first answer until DTLS is done
_MEDIA_BEFORE_DTLS: Final = 50  # packets of a page that believes in an association we do not have


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all connections of a node share. `inbox` holds the datagram that has just come,
    `rtp_outbox` is the core's shared buffer and `rtcp_outbox` another one."""

    context: SSL.Context
    counters: TransportCounters
    inbox: PacketBuffer
    rtp_outbox: PacketBuffer
    rtcp_outbox: PacketBuffer
    random: Callable[[int], bytes]


class Owner(Protocol):
    """Who is told what comes of a connection."""

    def receive_rtp(self, packet: bytes, now: float) -> None: ...

    def receive_rtcp(self, packet: bytes, now: float) -> None: ...

    def connected(self, now: float) -> None:
        """DTLS is done: media may flow."""

    def deadline_moved(self) -> None:
        """`deadline` is another now."""

    def ended(self, why: str, now: float) -> None:
        """The connection has ended by itself; `why` as in `sfu.control.Gone`."""


class Connection:
    """`sfu.interfaces.Transport` for the core; the rest is for the gate that datagrams come by.

    `deadline` is when to call `handle_timer`, None when there is nothing to wait for.
    """

    __slots__ = (
        "_before_dtls", "_created", "_dtls", "_end", "_inbox", "_owner", "_protect", "_route",
        "_shop", "_srtp", "_ssrcs", "ice",
    )  # fmt: skip

    def __init__(self, shop: Workshop, offer: SessionOffer, owner: Owner, now: float) -> None:
        self.ice = IceAgent(offer.ice, shop.random, now)
        self._shop = shop
        self._inbox = shop.inbox
        self._owner = owner
        self._dtls = DtlsServer(shop.context, offer.fingerprints)
        self._srtp: SrtpSession | None = None
        self._protect: Callable[[int], int] = _not_connected
        self._route = Route(self.ice, shop.random)
        self._ssrcs: set[bytes] = set()
        self._before_dtls = 0
        self._created = now
        self._end = False

    @property
    def deadline(self) -> float | None:
        due = [at for at in (self._dtls.deadline, self._route.deadline) if at is not None]
        return min(due, default=None)

    @property
    def is_over(self) -> bool:
        return self._end

    # What the core sends

    def send_rtp(self, length: int) -> None:
        """Protect and send what the core has written into the shared buffer."""
        path = self._route.active
        if path is None:
            self._shop.counters.drop("no_consent")
            return
        size = self._protect(length)
        if size <= 0:
            self._shop.counters.drop("not_connected" if size == 0 else "srtp_not_protected")
            return
        path.way.send(self._shop.rtp_outbox.view[:size], path.remote)

    def send_rtcp(self, packet: bytes) -> None:
        path, srtp, buffer = self._route.active, self._srtp, self._shop.rtcp_outbox
        if path is None or srtp is None:
            self._shop.counters.drop("not_connected" if srtp is None else "no_consent")
            return
        if len(packet) > buffer.limit:
            self._shop.counters.drop("srtp_not_protected")
            return
        buffer.view[: len(packet)] = packet
        size = srtp.protect_rtcp(buffer, len(packet))
        if size < 0:
            self._shop.counters.drop("srtp_not_protected")
            return
        path.way.send(buffer.view[:size], path.remote)

    def end_stream(self, ssrc: int) -> None:
        """One of our SSRCs is not sent on any more."""
        if self._srtp is not None:
            self._srtp.end_outbound(ssrc)

    # What comes in

    def receive_check(self, judgement: Judgement, path: Path, now: float) -> None:
        """A check that was judged valid: the path is ours, and perhaps the page's choice."""
        path.may_send(len(judgement.answer), now)  # an answer is shorter than what it answers
        path.send(judgement.answer)
        self._route.checked(path, self, now, nominates=judgement.nominates)
        self._owner.deadline_moved()

    def receive_answer(self, data: bytes, path: Path, now: float) -> Verdict:
        """What a page says to a question of ours: whether it takes media there."""
        verdict = self.ice.judge_answer(data, path)
        if verdict is Verdict.VALID:
            self._route.answered(path, now)
            self._owner.deadline_moved()
        return verdict

    def receive_dtls(self, path: Path, length: int, now: float) -> None:
        before, deadline = self._dtls.state, self._dtls.deadline
        if not self._dtls.receive(bytes(self._inbox.view[:length]), now):
            self._shop.counters.drop("dtls_beyond_bounds")
            return
        path.earn(length)
        self._say(path, now)
        match self._dtls.state:
            case DtlsState.CONNECTED if before is DtlsState.HANDSHAKE:
                assert self._dtls.keys is not None
                self._srtp = SrtpSession(self._dtls.keys)
                self._protect = self._srtp.rtp_protector(self._shop.rtp_outbox)
                self._shop.counters.connections["connected"] += 1
                self._owner.connected(now)
            case DtlsState.FAILED:
                self._shop.counters.connections[f"dtls_{self._dtls.failure}"] += 1
                if self._dtls.failure == "wrong_certificate":
                    self._finish("wrong_certificate", now)
                else:
                    self._finish("closed" if self._srtp is not None else "never_connected", now)
            case DtlsState.CLOSED:
                self._finish("closed", now)
        if self._dtls.deadline != deadline:
            self._owner.deadline_moved()

    def receive_media(self, path: Path, length: int, now: float) -> None:
        """One SRTP or SRTCP packet in the inbox."""
        srtp, inbox = self._srtp, self._inbox
        if srtp is None:
            self._early(now)
            return
        if length > MAX_PACKET + MAX_TRAILER:
            self._shop.counters.drop("too_long")
            return
        data = inbox.data
        if is_rtcp(data[1]):
            size = srtp.unprotect_rtcp(inbox, length)
            if size < 0:
                self._shop.counters.drop(reason(size))
                return
            self._owner.receive_rtcp(bytes(inbox.view[:size]), now)
        else:
            ssrc = bytes(data[8:12])
            if ssrc not in self._ssrcs and len(self._ssrcs) >= MAX_SSRCS:
                self._shop.counters.drop("too_many_ssrcs")
                return
            size = srtp.unprotect_rtp(inbox, length)
            if size < 0:
                self._shop.counters.drop(reason(size))
                return
            self._ssrcs.add(ssrc)
            self._owner.receive_rtp(bytes(inbox.view[:size]), now)
        route = self._route
        if path is not route.active and path.nominated and path is not route.chosen:
            # What the page really uses says more than the order its checks came in.
            route.choose(path, now)
            self._owner.deadline_moved()

    def handle_timer(self, now: float) -> None:
        """Repeat what DTLS has not had answered, and ask for consent."""
        self._dtls.handle_timer(now)
        self._route.handle_timer(now)
        self._say(self._route.handshake, now)
        if self._dtls.state is DtlsState.FAILED:
            self._finish("never_connected", now)

    def sweep(self, now: float) -> None:
        """Notice silence; to be called about once a second."""
        self._route.sweep(now)
        if self._srtp is None and now - self._created > CONNECT_SECONDS:
            self._finish("never_connected", now)
        elif now - self.ice.heard > SILENT_SECONDS and self._srtp is not None:
            self._finish("silent", now)

    def close(self) -> None:
        """End it from our side; the owner is not told."""
        if self._end:
            return
        self._end = True
        self._dtls.close()
        if self._route.active is not None:
            for datagram in self._dtls.outgoing():
                self._route.active.send(datagram)
        self._srtp = None
        self._protect = _not_connected
        self._route.clear()

    def lose_path(self, path: Path, now: float) -> None:
        """A path is gone: a TCP connection has ended, or another page has it now."""
        self._route.lose(path, now)
        self._owner.deadline_moved()

    def _say(self, path: Path | None, now: float) -> None:
        """Send what DTLS has to say, as far as the path may be sent to."""
        for datagram in self._dtls.outgoing():
            if path is not None and path.may_send(len(datagram), now):
                path.send(datagram)
            else:
                self._shop.counters.drop("no_consent")

    def _early(self, now: float) -> None:
        self._shop.counters.drop("before_dtls")
        self._before_dtls += 1
        if self._before_dtls == _MEDIA_BEFORE_DTLS:
            self._finish("never_connected", now)

    def _finish(self, why: str, now: float) -> None:
        if self._end:
            return
        self.close()
        self._shop.counters.connections[why] += 1
        self._owner.ended(why, now)


def _not_connected(_length: int) -> int:
    return 0
