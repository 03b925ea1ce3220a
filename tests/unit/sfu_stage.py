"""A forwarder without sockets, and wires that pages are plugged into."""

from __future__ import annotations

import os
import time
from collections import defaultdict

from sfu import faults
from sfu.config import NodeBounds
from sfu.connection import Workshop
from sfu.control import Answer, Event, Request, Result
from sfu.counters import TransportCounters
from sfu.dtls import server_context
from sfu.forwarder import Forwarder
from sfu.interfaces import BUFFER_SIZE
from sfu.path import Path, Remote
from sfu.room import Room
from sfu.sdp.answer import Endpoint
from sfu.srtp import PacketBuffer
from tests.unit.sfu_page import CERTIFICATE, Page

CONTEXT = server_context(CERTIFICATE)


class Wire:
    """`sfu.path.Way`, as the UDP socket is one: what was sent to each address, and its paths."""

    is_stream = False

    def __init__(self) -> None:
        self.sent: defaultdict[Remote, list[bytes]] = defaultdict(list)
        self.paths: dict[Remote, Path] = {}

    def send(self, data: bytes | bytearray | memoryview, remote: Remote) -> None:
        self.sent[remote].append(bytes(data))

    def register(self, path: Path) -> None:
        self.paths[path.remote] = path

    def forget(self, path: Path) -> None:
        if self.paths.get(path.remote) is path:
            del self.paths[path.remote]

    def take(self, remote: Remote) -> list[bytes]:
        return self.sent.pop(remote, [])


class Stage:
    """Time stands still but for `now`. Without `may_fail` a fault of ours fails the test."""

    def __init__(
        self,
        bounds: NodeBounds | None = None,
        *,
        room: type[Room] = Room,
        may_fail: bool = False,
    ) -> None:
        self.may_fail = may_fail
        self.now = time.monotonic()
        self.counters = TransportCounters()
        self.outbox = PacketBuffer(bytearray(BUFFER_SIZE))
        self.inbox = PacketBuffer(bytearray(66_000))
        self.bounds = bounds or NodeBounds()
        shop = Workshop(
            CONTEXT,
            self.counters,
            inbox=self.inbox,
            rtp_outbox=self.outbox,
            rtcp_outbox=PacketBuffer(bytearray(BUFFER_SIZE)),
            random=os.urandom,
        )
        self.forwarder = Forwarder(
            self.bounds,
            shop,
            lambda: room(self.outbox.data, os.urandom, self.bounds.room),
            (Endpoint("192.0.2.1", 10000, tcp=True),),
            CERTIFICATE.fingerprint,
        )
        self.wire = Wire()
        self.events: list[Event] = []

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.counters.dropped)

    @property
    def faults(self) -> int:
        """What went wrong within the forwarder, kept from others."""
        return self.counters.dropped[faults.REASON]

    def ask(self, page: Page) -> Result:
        return self.handle(page.offer())

    def handle(self, request: Request) -> Result:
        result = self.forwarder.handle(request, self.now)
        self._no_fault()
        self.events += self.forwarder.events()
        return result

    def negotiate(self, page: Page) -> None:
        result = self.ask(page)
        assert isinstance(result, Answer), result
        page.take(result.sdp)

    def receive(self, datagram: bytes, remote: Remote) -> list[bytes]:
        """Bring a datagram; gives what was sent to that address because of it."""
        self.inbox.view[: len(datagram)] = datagram
        path = self.wire.paths.get(remote)
        gate = self.forwarder.gate
        if path is not None:
            gate.receive(path, len(datagram), self.now)
        else:
            gate.receive_stranger(self.wire, remote, len(datagram), self.now)
        self._no_fault()
        self.events += self.forwarder.events()
        return self.wire.take(remote)

    def _no_fault(self) -> None:
        assert self.may_fail or not self.faults

    def connect(self, page: Page, remote: Remote) -> None:
        """Check and shake hands until media may flow."""
        self.come(page, remote)
        self.shake(page, remote)
        assert page.connected

    def come(self, page: Page, remote: Remote) -> None:
        """Choose an address, and show that the page takes what is sent to it."""
        assert self.consent(page, remote, self.receive(page.check(), remote))

    def consent(self, page: Page, remote: Remote, sent: list[bytes]) -> int:
        """Answer the questions among the datagrams that were sent; gives how many there were."""
        questions = [datagram for datagram in sent if datagram[:2] == b"\x00\x01"]
        for question in questions:
            assert not self.receive(page.answer_check(question), remote)
        return len(questions)

    def shake(self, page: Page, remote: Remote) -> None:
        towards = page.shake()
        while towards:
            back: list[bytes] = []
            for datagram in towards:
                back += self.receive(datagram, remote)
            towards = page.shake(d for d in back if 20 <= d[0] < 64)

    def join(self, page: Page, remote: Remote) -> None:
        self.negotiate(page)
        self.connect(page, remote)

    def flush(self, page: Page, remote: Remote) -> None:
        """Give a page the media that was sent to it."""
        for datagram in self.wire.take(remote):
            if datagram[0] & 0xC0 == 0x80:
                page.take_media(datagram)
