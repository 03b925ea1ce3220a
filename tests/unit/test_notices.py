"""A notice (a signal with id 0) is never kept by its sender, so nothing may wait for it."""

from __future__ import annotations

import json

from signaling.connection import Connection
from signaling.limits import MESSAGE_BURST, PAUSE
from signaling.mailbox import MAX_SIGNALS, Mailbox
from signaling.messages import Hello, Signal

SENDER, INSTANCE = "s" * 22, "instance"


def full_mailbox() -> Mailbox:
    mailbox = Mailbox(1000)
    for number in range(1, MAX_SIGNALS + 1):
        assert mailbox.post("o" * 22, "other-one", number, "x") is not None
    return mailbox


def test_a_notice_that_a_full_mailbox_refuses_holds_nothing_back() -> None:
    mailbox = full_mailbox()
    assert mailbox.post(SENDER, INSTANCE, 0, "notice") is None
    mailbox.ack(mailbox.seq)
    assert mailbox.post(SENDER, INSTANCE, 7, "x") is not None


def test_a_notice_does_not_stand_for_a_refused_signal() -> None:
    mailbox = full_mailbox()
    assert mailbox.post(SENDER, INSTANCE, 7, "x") is None
    mailbox.ack(mailbox.seq)
    assert mailbox.post(SENDER, INSTANCE, 0, "notice") is not None
    assert mailbox.post(SENDER, INSTANCE, 8, "overtakes 7") is None
    assert mailbox.post(SENDER, INSTANCE, 7, "x") is not None
    assert mailbox.post(SENDER, INSTANCE, 8, "x") is not None


def signal(number: int) -> bytes:
    return json.dumps({"type": "signal", "id": number, "to": "r" * 22, "data": "x"}).encode()


def test_a_notice_refused_for_its_rate_holds_nothing_back() -> None:
    connection = Connection(0.0)
    hello = {"type": "hello", "token": "t", "secret": "s" * 22, "instance": "i" * 8}
    assert type(connection.receive_message(json.dumps(hello).encode(), 0.0)) is Hello
    connection.joined(0.0)
    for number in range(1, MESSAGE_BURST):
        assert type(connection.receive_message(signal(number), 0.0)) is Signal
    assert type(connection.receive_message(signal(0), 0.0)) is tuple
    assert type(connection.receive_message(signal(MESSAGE_BURST), PAUSE)) is Signal
