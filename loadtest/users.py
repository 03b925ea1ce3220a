"""Those who come by a link: clients, providers, and people with bad networks.

A client and a provider say to each other what two pages say: the exchange of keys, an offer, an
answer and candidates, of the sizes that browsers make, in text that nobody has to understand.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import Any, Final, cast

from locust import User, task

from loadtest.participant import base64url
from loadtest.practice import Consultation, Practice
from loadtest.steps import fire, step
from loadtest.visit import StepError, Visit
from signaling.messages import Admit, Connected, End, Leave

OFFER_BYTES: Final = 4200  # sealed: sound, a picture and data channels, as Chromium offers them
ANSWER_BYTES: Final = 3300
CANDIDATES: Final = 4
PAUSE_S: Final = 0.5  # after something failed, so that a server that is down is not stormed
MISSED: Final = 3  # signals sent to somebody who is away


class Visitor(User):
    """Has a practice. What fails is counted by its step; then the next task begins."""

    abstract = True

    @property
    def practice(self) -> Practice:
        return cast(Practice, cast(Any, self.environment).practice)

    @property
    def options(self) -> Any:
        return self.environment.parsed_options

    @contextlib.contextmanager
    def visiting(self, *visits: Visit) -> Any:
        """Ends the visits with the block, whatever happens in it."""
        try:
            yield
        except StepError:
            time.sleep(PAUSE_S)
        finally:
            for visit in visits:
                visit.cut()


class Client(Visitor):
    """Joins a room of its own and waits, for --stay seconds at most; where a provider admits it,
    it answers the offer and stays until the end."""

    @task
    def consultation(self) -> None:
        appointment = self.practice.appointments.make()
        visit = Visit(self.practice.address(), appointment.client_token, "Client")
        meeting = None
        with self.visiting(visit):
            try:
                with step(self.environment, "join"):
                    visit.join()
                meeting = Consultation(appointment, visit.participant)
                self.practice.announce(meeting)
                if self._is_admitted(visit):
                    self._talk(visit, meeting)
                else:
                    meeting.gone = True
                    with step(self.environment, "leave"):
                        visit.command(Leave)
            finally:
                if meeting is not None:
                    meeting.gone = True

    def _is_admitted(self, visit: Visit) -> bool:
        """Waits. A lost connection is no end: a page comes back, and so does this."""
        begun = time.perf_counter()
        until = time.monotonic() + self.options.stay
        while visit.status == "waiting":
            try:
                visit.until(lambda: visit.status != "waiting", until - time.monotonic())
            except StepError as failure:
                if failure.code == "timeout" and time.monotonic() >= until:
                    return False
                if failure.code not in ("lost", "going_away", "closed_1001", "closed_1006"):
                    fire(self.environment, "wait", time.perf_counter() - begun, failure)
                    raise
                with step(self.environment, "resume"):
                    visit.resume()
        if visit.status != "admitted":
            refused = StepError(visit.status)
            fire(self.environment, "wait", time.perf_counter() - begun, refused)
            raise refused
        fire(self.environment, "wait", time.perf_counter() - begun)
        return True

    def _talk(self, visit: Visit, meeting: Consultation) -> None:
        with step(self.environment, "exchange"):
            host = visit.next_signal().from_
            exchange = Exchange(visit, host)
            exchange.send("key", 168)
            visit.next_signal()  # reveal
        with _arrival(self, meeting, "offer"):
            visit.next_signal()
        meeting.sent_at["answer"] = time.perf_counter()
        exchange.send("sealed", ANSWER_BYTES)
        for _ in range(CANDIDATES):
            exchange.send("sealed", 180)
        with step(self.environment, "connected"):
            visit.command(Connected)
        with contextlib.suppress(StepError):
            visit.until(lambda: False, self.options.call_seconds + visit.address.seconds)
        if visit.bye != "ended":
            failure = StepError(visit.bye or "not_ended")
            fire(self.environment, "ended", 0, failure)
            raise failure


class Provider(Visitor):
    """Takes whoever has waited longest: admits, offers, talks for --call-seconds, and ends."""

    @task
    def consultation(self) -> None:
        meeting = self.practice.next(1.0)
        if meeting is None:
            return
        visit = Visit(self.practice.address(), meeting.appointment.host_token)
        with self.visiting(visit):
            with step(self.environment, "join"):
                visit.join()
            if not self._admit(visit, meeting):
                return
            self._talk(visit, meeting)
            deadline = time.monotonic() + self.options.call_seconds
            with contextlib.suppress(StepError):
                visit.until(lambda: False, deadline - time.monotonic())
            with step(self.environment, "end"):
                visit.command(End)

    def _admit(self, visit: Visit, meeting: Consultation) -> bool:
        """False: the client has just given up, which is nobody's fault."""
        begun = time.perf_counter()
        failure = None
        try:
            visit.until(lambda: meeting.gone or visit.status_of(meeting.client) == "waiting")
            visit.command(lambda number: Admit(number, meeting.client))
        except StepError as failed:
            failure = failed
        if failure is not None and meeting.gone:
            return False
        fire(self.environment, "admit", time.perf_counter() - begun, failure)
        if failure is not None:
            raise failure
        return True

    def _talk(self, visit: Visit, meeting: Consultation) -> None:
        exchange = Exchange(visit, meeting.client)
        exchange.send("commit", 32)
        visit.next_signal()  # key
        exchange.send("reveal", 168)
        meeting.sent_at["offer"] = time.perf_counter()
        exchange.send("sealed", OFFER_BYTES)
        with _arrival(self, meeting, "answer"):
            visit.next_signal()
        last = 0
        for _ in range(CANDIDATES):
            visit.next_signal()
            last = exchange.send("sealed", 180)
        with step(self.environment, "delivered"):
            visit.taken(meeting.client, last)
            visit.command(Connected)


class Reconnector(Visitor):
    """Loses its connection in the middle of a call, over and over, and misses nothing."""

    @task
    def consultation(self) -> None:
        appointment = self.practice.appointments.make()
        host = Visit(self.practice.address(), appointment.host_token)
        client = Visit(self.practice.address(), appointment.client_token, "Reconnector")
        with self.visiting(host, client):
            for one in (client, host):
                with step(self.environment, "join"):
                    one.join()
            with step(self.environment, "admit"):
                host.until(lambda: host.status_of(client.participant) == "waiting")
                host.command(lambda number: Admit(number, client.participant))
            client.until(lambda: client.status == "admitted")
            for _ in range(self.options.cuts):
                self._cut(host, client)
            with step(self.environment, "end"):
                host.command(End)

    def _cut(self, host: Visit, client: Visit) -> None:
        client.cut()
        sent = [base64url(secrets.token_bytes(180)) for _ in range(MISSED)]
        last = 0
        for data in sent:
            last = host.send(client.participant, data)
        with step(self.environment, "resume"):
            if not client.resume().resumed:
                raise StepError("not_resumed")
            if [client.next_signal().data for _ in sent] != sent:
                raise StepError("other_signals")
        client.acknowledge()
        with step(self.environment, "delivered"):
            host.taken(client.participant, last)


class Exchange:
    """Signals of the form of docs/protocol.md section 7.1, one exchange."""

    def __init__(self, visit: Visit, to: str) -> None:
        self._visit, self._to, self._seq = visit, to, 0
        self._id = base64url(secrets.token_bytes(12))

    def send(self, kind: str, size: int) -> int:
        """One signal with a payload of `size` random bytes; its number."""
        payload = base64url(secrets.token_bytes(size))
        number = self._visit.send(self._to, f"{kind}.{self._id}.{self._seq}.{payload}")
        self._seq += 1
        return number


@contextlib.contextmanager
def _arrival(user: Visitor, meeting: Consultation, name: str) -> Any:
    """The way of one signal: from the sender's call to where this block has it."""
    try:
        yield
    except StepError as failure:
        fire(user.environment, name, 0, failure)
        raise
    fire(user.environment, name, time.perf_counter() - meeting.sent_at[name])
