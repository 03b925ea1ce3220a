"""Rooms, who is in them, and what is asked of us: everything of a node but sockets and clocks."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Final, assert_never

from sfu import control
from sfu.config import NodeBounds
from sfu.connection import Connection, Workshop
from sfu.control import (
    Answer,
    AvailableSource,
    Close,
    Code,
    Done,
    Drain,
    Event,
    Gone,
    Leave,
    Offer,
    Refused,
    Request,
    Result,
    SourceRef,
    Want,
)
from sfu.faults import Faults
from sfu.gate import Gate
from sfu.interfaces import ForwardingRoom, RoomFullError, Source, Sources, Speakers, Tile
from sfu.member import Member, RoomMaker, identity_of
from sfu.sdp.answer import Endpoint, OwnSide, write_answer
from sfu.sdp.lines import BadDescriptionError
from sfu.sdp.negotiation import Agreement, BadTrackError, negotiate
from sfu.sdp.offer import Fingerprint, SessionOffer, parse_offer
from sfu.timers import Timers

_RETRY_SECONDS: Final = 2  # what a page waits that could not be taken
_CORE_COUNTS: Final = (
    "packets_in",
    "bytes_in",
    "packets_out",
    "bytes_out",
    "retransmitted",
    "key_frames_asked",
)
_FAULT_PAUSE: Final = 0.1  # seconds, until what has failed is called again
_MAX_EVENTS: Final = 4096  # kept for a shell that does not ask; then the oldest are lost


class Chamber:
    """One room as this node sees it: the core's room, its members, and its generation."""

    __slots__ = ("core", "generation", "members", "name", "salt", "sources")

    def __init__(self, name: str, generation: int, core: ForwardingRoom, salt: bytes) -> None:
        self.name = name
        self.generation = generation
        self.core = core
        self.salt = salt
        self.members: dict[str, Member] = {}
        self.sources: tuple[Source, ...] = ()

    def label(self, source: SourceRef) -> tuple[str, str]:
        """Names of stream and track for a page. Microphone and camera are one stream, and so are
        a screen and its sound: what is one stream is played in step (RFC 8830)."""
        digest = hashlib.blake2s(source.participant.encode(), key=self.salt, digest_size=9)
        name = digest.hexdigest()
        shared = source.source in (control.Source.SCREEN, control.Source.SCREEN_AUDIO)
        return f"{name}{'s' if shared else 'c'}", f"{name}-{source.source.value}"


class Forwarder:
    """`handle` requests, pass what the gate lets in, and call `handle_timer` at `next_timeout`.

    `events` gives what is to be told since it was last asked. `endpoints` are told to every page,
    `fingerprint` is of the certificate that `shop.context` has.
    """

    def __init__(
        self,
        bounds: NodeBounds,
        shop: Workshop,
        make_room: RoomMaker,
        endpoints: tuple[Endpoint, ...],
        fingerprint: Fingerprint,
    ) -> None:
        self._faults = Faults(shop.counters)
        self.gate = Gate(shop, self._faults)
        self.draining = False
        self._bounds = bounds
        self._shop = shop
        self._make_room = make_room
        self._endpoints = endpoints
        self._fingerprint = fingerprint
        self._chambers: dict[str, Chamber] = {}
        self._participants = 0
        self._timers: Timers[Chamber | Connection] = Timers()
        self._events: list[Event] = []
        self._past = dict.fromkeys(_CORE_COUNTS, 0)
        self._past_dropped: Counter[str] = Counter()

    @property
    def rooms(self) -> int:
        return len(self._chambers)

    @property
    def participants(self) -> int:
        return self._participants

    def media(self) -> dict[str, int]:
        """What the core counts of packets, of all rooms there are and were."""
        counts = dict(self._past)
        for chamber in self._chambers.values():
            for name in _CORE_COUNTS:
                counts[name] += getattr(chamber.core.counters, name)
        return counts

    def dropped(self) -> dict[str, int]:
        """What the core dropped, by reason, in all rooms there are and were."""
        counts = Counter(self._past_dropped)
        for chamber in self._chambers.values():
            counts.update(chamber.core.counters.dropped)
        return dict(counts)

    def handle(self, request: Request, now: float) -> Result:
        """Carry out a request. It may be asked again: see `sfu.control`."""
        try:
            result = self._carry_out(request, now)
        except Exception as error:
            self._faults.note(error, now)
            result = _unavailable("a fault of ours")
        outcome = result.code.value if isinstance(result, Refused) else "done"
        self._shop.counters.requests[f"{type(request).__name__.lower()} {outcome}"] += 1
        return result

    def _carry_out(self, request: Request, now: float) -> Result:
        match request:
            case Offer():
                return self._offer(request, now)
            case Want():
                return self._want(request, now)
            case Leave(room, participant):
                return self._leave(room, participant, now)
            case Close(room):
                return self._close(room, now)
            case Drain():
                self.draining = True
                return Done()
            case _:
                assert_never(request)

    def next_timeout(self) -> float | None:
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        # Each once: what is due again at once waits for the next call.
        due: list[Chamber | Connection] = []
        while (item := self._timers.due(now)) is not None:
            due.append(item)
        for item in due:
            try:
                self._turn(item, now)
            except Exception as error:
                self._faults.note(error, now)
                # What fails once does not have to fail again, and without a timer of its own a
                # room sends nothing any more. What fails always costs little.
                if not self._is_over(item):
                    self._timers.set(item, now + _FAULT_PAUSE)

    def _turn(self, item: Chamber | Connection, now: float) -> None:
        if isinstance(item, Chamber):
            try:
                item.core.handle_timer(now)
            finally:
                self._after(item)
        else:
            item.handle_timer(now)
            if not item.is_over:
                self._timers.set(item, item.deadline)

    def _is_over(self, item: Chamber | Connection) -> bool:
        if isinstance(item, Chamber):
            return self._chambers.get(item.name) is not item
        return item.is_over

    def sweep(self, now: float) -> None:
        """Notice who has gone silent; to be called about once a second."""
        for chamber in list(self._chambers.values()):
            for member in list(chamber.members.values()):
                try:
                    member.connection.sweep(now)
                except Exception as error:
                    self._faults.note(error, now)

    def events(self) -> list[Event]:
        taken, self._events = self._events, []
        return taken

    def close(self, now: float) -> None:
        """End everything; pages are told by DTLS."""
        for name in list(self._chambers):
            self._close(name, now)

    # Requests

    def _offer(self, request: Offer, now: float) -> Result:
        chamber = self._chambers.get(request.room)
        if chamber is not None and request.generation < chamber.generation:
            return Refused(Code.STALE_GENERATION, "generation", "the room has moved on")
        begins = chamber is None or request.generation > chamber.generation
        if chamber is None and (self.draining or len(self._chambers) >= self._bounds.rooms):
            return _unavailable("no room for another room", full=True)
        member = None if chamber is None or begins else chamber.members.get(request.participant)
        if member is not None and member.last is not None and member.last[0] == request:
            return member.last[1]
        try:
            offer = parse_offer(request.sdp)
        except BadDescriptionError as error:
            return Refused(Code.BAD_DESCRIPTION, error.field, error.detail)
        for index, track in enumerate(request.tracks):
            if track.receive is not None and track.receive.participant == request.participant:
                return Refused(Code.NOT_ALLOWED, f"tracks[{index}]", "a source of one's own")
        if member is None and self._participants >= self._bounds.participants:
            return _unavailable("no room for another participant", full=True)
        if chamber is None or begins:
            chamber = Chamber(
                request.room, request.generation, self._make_room(), self._shop.random(16)
            )
        if member is not None and identity_of(offer) == member.identity:
            return self._agree(chamber, member, offer, request, now)
        return self._begin(chamber, offer, request, now)

    def _begin(self, chamber: Chamber, offer: SessionOffer, request: Offer, now: float) -> Result:
        """A new connection, in place of the former one if there is one."""
        seat = (chamber.name, request.participant)
        member = Member(self, seat, chamber.core, shop=self._shop, offer=offer, now=now)
        try:
            agreement = negotiate(offer, request.tracks, member.streams, chamber.label)
        except (BadDescriptionError, BadTrackError) as error:
            member.connection.close()
            return _refusal(error)
        if self._chambers.get(chamber.name) is not chamber:
            self._close(chamber.name, now)
            self._chambers[chamber.name] = chamber
        if (former := chamber.members.get(request.participant)) is not None:
            self._dismiss(chamber, former)
        try:
            chamber.core.add_participant(request.participant, member.connection, now)
        except RoomFullError:
            member.connection.close()
            return _unavailable("the room is full")
        chamber.members[request.participant] = member
        self._participants += 1
        self.gate.admit(member.connection, now)
        answer = self._take(chamber, member, agreement, request, now)
        self._tell(self._sources(chamber, to=request.participant))
        return answer

    def _agree(
        self, chamber: Chamber, member: Member, offer: SessionOffer, request: Offer, now: float
    ) -> Result:
        """Another offer on a connection that there is, perhaps with a restart of ICE."""
        try:
            agreement = negotiate(offer, request.tracks, member.streams, chamber.label)
        except (BadDescriptionError, BadTrackError) as error:
            return _refusal(error)
        if offer.ice != member.connection.ice.remote:
            member.connection.ice.restart(offer.ice)
            self.gate.admit(member.connection, now)
        return self._take(chamber, member, agreement, request, now)

    def _take(
        self, chamber: Chamber, member: Member, agreement: Agreement, request: Offer, now: float
    ) -> Answer:
        used = {
            (track.mid, SourceRef(track.participant, control.Source(track.source)))
            for track in agreement.receive
        }
        chamber.core.set_tracks(request.participant, agreement.send, agreement.receive, now)
        for ssrc in member.streams.keep(used):
            member.connection.end_stream(ssrc)
        member.version += 1
        own = OwnSide(
            member.session_id,
            member.version,
            member.connection.ice.credentials,
            self._fingerprint,
            self._endpoints,
        )
        answer = Answer(write_answer(agreement, own))
        member.last = (request, answer)
        self._after(chamber)
        return answer

    def _want(self, request: Want, now: float) -> Result:
        chamber = self._chambers.get(request.room)
        if chamber is None or request.participant not in chamber.members:
            return Refused(Code.NOT_ALLOWED, "participant", "no offer has been made")
        if request.generation != chamber.generation:
            return Refused(Code.STALE_GENERATION, "generation", "the room has moved on")
        tiles = [
            Tile(tile.participant, tile.source.value, tile.width, tile.height, tile.pinned)
            for tile in request.tiles
        ]
        chamber.core.want(request.participant, tiles, now)
        self._after(chamber)
        return Done()

    def _leave(self, room: str, participant: str, now: float) -> Done:
        chamber = self._chambers.get(room)
        member = chamber.members.get(participant) if chamber is not None else None
        if chamber is not None and member is not None:
            self._remove(chamber, member, now)
        return Done()

    def _close(self, room: str, now: float) -> Done:
        chamber = self._chambers.pop(room, None)
        if chamber is not None:
            members = list(chamber.members.values())
            for member in members:
                self._dismiss(chamber, member)
            self._timers.set(chamber, None)
            for member in members:
                chamber.core.remove_participant(member.participant, now)
            for name in _CORE_COUNTS:
                self._past[name] += getattr(chamber.core.counters, name)
            self._past_dropped.update(chamber.core.counters.dropped)
        return Done()

    # Members

    def member_connected(self, member: Member, now: float) -> None:
        chamber = self._chambers[member.seat[0]]
        chamber.core.set_connected(member.participant, True, now)
        self._after(chamber)

    def member_deadline(self, member: Member) -> None:
        self._timers.set(member.connection, member.connection.deadline)

    def member_ended(self, member: Member, why: str, now: float) -> None:
        chamber = self._chambers.get(member.seat[0])
        if chamber is None or chamber.members.get(member.participant) is not member:
            return
        self._tell(Gone(chamber.name, chamber.generation, member.participant, why))
        self._remove(chamber, member, now)

    def _remove(self, chamber: Chamber, member: Member, now: float) -> None:
        self._dismiss(chamber, member)
        chamber.core.remove_participant(member.participant, now)
        self._after(chamber)
        if not chamber.members:
            self._close(chamber.name, now)

    def _dismiss(self, chamber: Chamber, member: Member) -> None:
        """Take a member's connection away; the core is for the caller to tell."""
        del chamber.members[member.participant]
        self._participants -= 1
        self.gate.dismiss(member.connection)
        self._timers.set(member.connection, None)
        member.connection.close()

    # Rooms

    def _after(self, chamber: Chamber) -> None:
        """What may have changed by a call to the core that is not a packet."""
        for output in chamber.core.poll_output():
            match output:
                case Sources(sources):
                    chamber.sources = sources
                    self._tell(self._sources(chamber))
                case Speakers(speaking):
                    told = control.Speakers(chamber.name, chamber.generation, list(speaking))
                    self._tell(told)
                case _:
                    assert_never(output)
        if self._chambers.get(chamber.name) is chamber:
            self._timers.set(chamber, chamber.core.next_timeout())

    def _sources(self, chamber: Chamber, to: str | None = None) -> control.Sources:
        sources = [
            AvailableSource(
                source.participant, control.Source(source.source), source.kind.value, source.layers
            )
            for source in chamber.sources
        ]
        return control.Sources(chamber.name, chamber.generation, sources, to)

    def _tell(self, event: Event) -> None:
        if len(self._events) >= _MAX_EVENTS:
            del self._events[0]
        self._events.append(event)


def _refusal(error: BadDescriptionError | BadTrackError) -> Refused:
    code = Code.BAD_DESCRIPTION if isinstance(error, BadDescriptionError) else Code.NOT_ALLOWED
    return Refused(code, error.field, error.detail)


def _unavailable(detail: str, *, full: bool = False) -> Refused:
    return Refused(Code.SFU_UNAVAILABLE, "", detail, _RETRY_SECONDS, full)
