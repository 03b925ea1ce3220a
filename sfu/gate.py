"""Where every datagram comes in: to the connection that its address, or its ufrag, belongs to.

A stranger is somebody only with a STUN check that is addressed to a connection we know and proves
its password. Until then nothing is kept of it, and its DTLS and media are dropped unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfu.allowance import Allowance
from sfu.connection import SILENT_SECONDS, Connection, Workshop
from sfu.demultiplexing import BY_FIRST_BYTE, Protocol
from sfu.faults import Faults
from sfu.ice_lite import Verdict, addressed_ufrag, is_answer, is_stun
from sfu.path import Path, Remote, Way

_STRANGERS: Final = (50.0, 100.0)  # checks of new addresses to one connection: a second, at once


@dataclass(slots=True)
class _Entry:
    """By which ufrags a connection is found, and how often strangers may try."""

    ufrags: tuple[str, ...]
    strangers: Allowance


class Gate:
    """Knows connections by their ufrags. `receive` takes the datagram in the inbox.

    Neither `receive` nor `receive_stranger` raises: a datagram that we fail at is dropped, and
    the next one's turn comes.
    """

    def __init__(self, shop: Workshop, faults: Faults) -> None:
        self._faults = faults
        self._inbox = shop.inbox
        self._counters = shop.counters
        self._by_ufrag: dict[str, Connection] = {}
        self._entries: dict[Connection, _Entry] = {}

    def admit(self, connection: Connection, now: float) -> None:
        """Take checks for a connection by all its ufrags, and no more by those it gave up."""
        entry = self._entries.get(connection)
        if entry is None:
            entry = self._entries[connection] = _Entry((), Allowance(*_STRANGERS, now))
        for ufrag in entry.ufrags:
            self._by_ufrag.pop(ufrag, None)
        entry.ufrags = connection.ice.ufrags
        for ufrag in entry.ufrags:
            self._by_ufrag[ufrag] = connection

    def dismiss(self, connection: Connection) -> None:
        entry = self._entries.pop(connection, None)
        for ufrag in entry.ufrags if entry is not None else ():
            self._by_ufrag.pop(ufrag, None)

    def receive(self, path: Path, length: int, now: float) -> None:
        """A datagram by a path that is known, or over TCP not yet."""
        try:
            self._receive(path, length, now)
        except Exception as error:
            self._faults.note(error, now)

    def _receive(self, path: Path, length: int, now: float) -> None:
        if length < 2:
            self._counters.drop("too_short")
            return
        protocol = BY_FIRST_BYTE[self._inbox.data[0]]
        if protocol is Protocol.STUN:
            self._stun(path, length, now)
            return
        connection = path.connection
        if connection is None:
            self._counters.drop("stranger")
        elif protocol is Protocol.RTP:
            connection.receive_media(path, length, now)
        elif protocol is Protocol.DTLS:
            connection.receive_dtls(path, length, now)
        else:
            self._counters.drop("unknown_protocol")

    def receive_stranger(self, way: Way, remote: Remote, length: int, now: float) -> None:
        """A datagram from an address that no connection has."""
        if length < 2 or BY_FIRST_BYTE[self._inbox.data[0]] is not Protocol.STUN:
            self._counters.drop("stranger" if length >= 2 else "too_short")
            return
        try:
            self._stun(Path(way, remote, now), length, now)
        except Exception as error:
            self._faults.note(error, now)

    def _stun(self, path: Path, length: int, now: float) -> None:
        view = self._inbox.view[:length]
        if not is_stun(view):
            self._counters.drop(Verdict.MALFORMED.value)
            return
        former = path.connection
        if former is not None and is_answer(view):
            verdict = former.receive_answer(bytes(view), path, now)
            if verdict is not Verdict.VALID:
                self._counters.drop(verdict.value)
            return
        ufrag = addressed_ufrag(view)
        connection = self._by_ufrag.get(ufrag) if ufrag is not None else None
        if connection is None:
            self._counters.drop(Verdict.WRONG_UFRAG.value if ufrag else Verdict.NOT_A_CHECK.value)
            return
        known = path.connection is connection
        entry = self._entries[connection]
        if not (path.checks if known else entry.strangers).take(now):
            self._counters.drop("stun_too_often")
            return
        if former is not None and not known and now - path.heard < SILENT_SECONDS:
            # An address that somebody uses is not taken away from them by somebody else: a
            # source address is easily forged.
            self._counters.drop("stun_address_in_use")
            return
        judgement = connection.ice.judge(bytes(view), path, now)
        if judgement.verdict is Verdict.VALID:
            if former is not None and not known:
                former.lose_path(path, now)
            path.earn(length)
            connection.receive_check(judgement, path, now)
            if connection.ice.ufrags != entry.ufrags:
                self.admit(connection, now)
            return
        self._counters.drop(judgement.verdict.value)
        if judgement.answer:
            path.send(judgement.answer)
