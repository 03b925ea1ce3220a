"""One socket's states, with time handed in."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.connection import (
    BAD_MESSAGES_IN_A_ROW,
    HELLO_DEADLINE,
    SILENCE,
    CloseSocket,
    Connection,
    Outputs,
    Phase,
    Send,
    SendPing,
    SendPong,
)
from signaling.limits import MESSAGE_BURST, REFUSALS_IN_A_ROW
from signaling.messages import Ack, ClientMessage, Hello, Leave, Signal

ME = "A" * 22
HELLO = json.dumps(
    {"type": "hello", "token": "t", "secret": "s" * 22, "instance": "12345678"}
).encode()
BAD = b'{"type":"nonsense"}'


def signal(id: int) -> bytes:
    return json.dumps({"type": "signal", "id": id, "to": ME, "data": "x"}).encode()


def joined(now: float = 0.0) -> Connection:
    connection = Connection(now)
    assert isinstance(connection.receive_message(HELLO, now), Hello)
    connection.joined(now)
    return connection


def answers(outputs: ClientMessage | Outputs) -> list[dict[str, Any]]:
    assert isinstance(outputs, tuple)
    return [json.loads(one.payload) for one in outputs if isinstance(one, Send)]


def closes(outputs: ClientMessage | Outputs) -> list[CloseSocket]:
    assert isinstance(outputs, tuple)
    return [one for one in outputs if isinstance(one, CloseSocket)]


# --- hello ---


def test_hello_comes_out_and_then_everything_else() -> None:
    connection = Connection(0.0)
    phases = [connection.phase]
    assert isinstance(connection.receive_message(HELLO, 1.0), Hello)
    phases.append(connection.phase)
    connection.joined(1.5)
    phases.append(connection.phase)
    assert phases == [Phase.AWAITING_HELLO, Phase.JOINING, Phase.JOINED]
    assert connection.receive_message(signal(1), 2.0) == Signal(1, ME, "x")
    assert connection.receive_message(b'{"type":"ack","seq":4}', 2.0) == Ack(4)
    assert connection.receive_message(b'{"type":"leave","id":2}', 2.0) == Leave(2)


@pytest.mark.parametrize("first", [signal(1), b'{"type":"ping"}', b'{"type":"ack","seq":1}'])
def test_something_else_first_closes(first: bytes) -> None:
    connection = Connection(0.0)
    outputs = connection.receive_message(first, 1.0)
    assert answers(outputs)[0]["code"] == "hello_expected"
    assert closes(outputs) == [CloseSocket(4401, "hello_expected")]
    assert connection.phase is Phase.CLOSED
    assert connection.receive_message(HELLO, 1.0) == ()


def test_no_hello_within_five_seconds_closes() -> None:
    connection = Connection(100.0)
    assert connection.next_timeout() == 100.0 + HELLO_DEADLINE
    assert connection.handle_timer(104.9) == ()
    connection.receive_ping(b"", 104.9)
    connection.heard(104.9)
    outputs = connection.handle_timer(105.0)
    assert closes(outputs) == [CloseSocket(4401, "hello_expected")]
    assert connection.next_timeout() is None
    assert connection.handle_timer(200.0) == ()


def test_bad_messages_do_not_extend_the_deadline() -> None:
    connection = Connection(0.0)
    connection.receive_message(BAD, 4.0)
    assert connection.next_timeout() == HELLO_DEADLINE


def test_while_joining_only_ping_is_answered() -> None:
    connection = Connection(0.0)
    connection.receive_message(HELLO, 0.0)
    assert answers(connection.receive_message(b'{"type":"ping"}', 0.1)) == [{"type": "pong"}]
    (refused,) = answers(connection.receive_message(signal(7), 0.1))
    assert (refused["code"], refused["id"]) == ("not_allowed", 7)
    (refused,) = answers(connection.receive_message(HELLO, 0.1))
    assert refused["code"] == "not_allowed"
    assert connection.phase is Phase.JOINING


def test_a_second_hello_is_a_bad_message() -> None:
    connection = joined()
    (refused,) = answers(connection.receive_message(HELLO, 1.0))
    assert (refused["code"], refused["field"]) == ("bad_message", "type")
    assert connection.phase is Phase.JOINED


def test_a_refused_name_may_be_tried_again_but_not_for_ever() -> None:
    connection = Connection(0.0)
    connection.receive_message(HELLO, 1.0)
    assert connection.hello_refused(2.0) == ()
    assert connection.next_timeout() == 2.0 + HELLO_DEADLINE
    connection.receive_message(HELLO, 3.0)
    assert connection.hello_refused(3.0) == ()
    connection.receive_message(HELLO, 4.0)
    assert closes(connection.hello_refused(4.0)) == [CloseSocket(4400, "bad_message")]


# --- bad messages ---


def test_three_bad_messages_in_a_row_close() -> None:
    connection = joined()
    for _ in range(2):
        for _ in range(BAD_MESSAGES_IN_A_ROW - 1):
            outputs = connection.receive_message(BAD, 1.0)
            (answer,) = answers(outputs)
            assert (answer["code"], answer["field"]) == ("bad_message", "type")
            assert closes(outputs) == []
        assert isinstance(connection.receive_message(signal(1), 1.0), Signal)
    for _ in range(BAD_MESSAGES_IN_A_ROW - 1):
        connection.receive_message(BAD, 1.0)
    outputs = connection.receive_message(BAD, 1.0)
    assert answers(outputs)[0]["code"] == "bad_message"
    assert closes(outputs) == [CloseSocket(4400, "bad_message")]


def test_joining_ends_the_row() -> None:
    connection = Connection(0.0)
    for _ in range(BAD_MESSAGES_IN_A_ROW - 1):
        connection.receive_message(BAD, 1.0)
    assert isinstance(connection.receive_message(HELLO, 1.0), Hello)
    connection.joined(1.0)
    for _ in range(BAD_MESSAGES_IN_A_ROW - 1):
        assert not closes(connection.receive_message(BAD, 1.0))


@pytest.mark.parametrize("good", [b'{"type":"ping"}', b'{"type":"ack","seq":1}'])
def test_any_good_message_ends_the_row(good: bytes) -> None:
    connection = joined()
    for _ in range(10):
        connection.receive_message(BAD, 1.0)
        connection.receive_message(BAD, 1.0)
        assert closes_or_none(connection.receive_message(good, 1.0)) == []


def closes_or_none(got: ClientMessage | Outputs) -> list[CloseSocket]:
    return closes(got) if isinstance(got, tuple) else []


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 60_000,
        b'{"type":"ack","seq":123456789012345678901234567890}',
        b'{"type":"ack","seq":1,"seq":2}',
        b'{"type":"signal","id":1,"to":"%s","data":"\\ud800"}' % ME.encode(),
    ],
)
def test_hostile_messages_get_a_typed_error_and_the_third_closes(hostile: bytes) -> None:
    connection = joined()
    for left in (2, 1, 0):
        outputs = connection.receive_message(hostile, 1.0)
        assert answers(outputs)[0]["code"] == "bad_message"
        assert bool(closes(outputs)) is (left == 0)


# --- rate ---


def test_a_hundred_messages_a_second_for_ten_seconds() -> None:
    connection = joined()
    refused = 0
    for i in range(1000):
        got = connection.receive_message(b'{"type":"ack","seq":1}', 1.0 + i / 100)
        if isinstance(got, tuple):
            refused += 1
            (answer,) = answers(got)
            assert answer["code"] == "slow_down"
            if closes(got):
                assert closes(got) == [CloseSocket(4429, "slow_down")]
                break
            assert 0 < answer["retry_after"] <= 2
    assert refused == REFUSALS_IN_A_ROW
    assert connection.phase is Phase.CLOSED


def test_a_refusal_repeats_the_id() -> None:
    connection = joined()
    for id in range(MESSAGE_BURST - 1):
        assert isinstance(connection.receive_message(signal(id), 1.0), Signal)
    connection.receive_message(signal(400), 1.0)
    (answer,) = answers(connection.receive_message(signal(500), 1.0))
    assert (answer["code"], answer["id"]) == ("slow_down", 500)


def test_no_signal_overtakes_one_refused_for_its_rate() -> None:
    connection = joined(0.0)
    while isinstance(connection.receive_message(signal(1), 1.0), Signal):
        pass
    connection.receive_message(signal(50), 1.0)
    connection = joined(0.0)
    for id in range(MESSAGE_BURST + 5):
        connection.receive_message(signal(id), 0.0)
    first_refused = MESSAGE_BURST - 1  # hello was the first message
    later = 10.0
    (answer,) = answers(connection.receive_message(signal(first_refused + 1), later))
    assert (answer["code"], answer["id"]) == ("slow_down", first_refused + 1)
    assert isinstance(connection.receive_message(b'{"type":"ack","seq":1}', later), Ack)
    for id in (first_refused, first_refused + 1):
        assert connection.receive_message(signal(id), later) == Signal(id, ME, "x")


def test_a_full_mailbox_a_hundred_times_in_a_row_closes() -> None:
    connection = joined()
    for _ in range(REFUSALS_IN_A_ROW - 1):
        outputs = connection.mailbox_full(9)
        (answer,) = answers(outputs)
        assert (answer["code"], answer["id"]) == ("slow_down", 9)
        assert not closes(outputs)
    connection.signal_taken()
    assert connection.full == 0
    for _ in range(REFUSALS_IN_A_ROW - 1):
        assert not closes(connection.mailbox_full(9))
    assert closes(connection.mailbox_full(9)) == [CloseSocket(4429, "slow_down")]


def test_pings_are_answered_within_the_same_rate() -> None:
    connection = joined()
    assert connection.receive_ping(b"abc", 1.0) == (SendPong(b"abc"),)
    outputs: Outputs = ()
    for _ in range(MESSAGE_BURST + REFUSALS_IN_A_ROW):
        outputs = connection.receive_ping(b"", 1.0)
        if closes(outputs):
            break
    assert closes(outputs) == [CloseSocket(4429, "slow_down")]
    assert connection.receive_ping(b"", 1.0) == ()


# --- heartbeat ---


def test_a_ping_after_silence_and_then_the_end() -> None:
    connection = joined(0.0)
    assert connection.next_timeout() == SILENCE
    assert connection.handle_timer(SILENCE - 0.1) == ()
    assert connection.handle_timer(SILENCE) == (SendPing(),)
    assert connection.next_timeout() == 2 * SILENCE
    assert connection.handle_timer(2 * SILENCE - 0.1) == ()
    assert connection.handle_timer(2 * SILENCE) == (CloseSocket(1001, "silent"),)
    assert connection.phase is Phase.CLOSED


@pytest.mark.parametrize("sign", ["pong", "message", "ping"])
def test_any_sign_of_life_counts(sign: str) -> None:
    connection = joined(0.0)
    connection.handle_timer(SILENCE)
    alive = SILENCE + 10
    match sign:
        case "pong":
            connection.heard(alive)
        case "message":
            connection.receive_message(signal(1), alive)
        case _:
            connection.receive_ping(b"", alive)
    assert connection.next_timeout() == alive + SILENCE
    assert connection.handle_timer(2 * SILENCE) == ()
    assert connection.handle_timer(alive + SILENCE) == (SendPing(),)
    assert closes(connection.handle_timer(alive + 2 * SILENCE))


def test_closed_it_says_nothing_any_more() -> None:
    connection = joined()
    connection.close()
    assert connection.receive_message(signal(1), 1.0) == ()
    assert connection.receive_ping(b"", 1.0) == ()
    assert connection.handle_timer(1e9) == ()
    assert connection.next_timeout() is None


def test_an_idle_connection_is_small() -> None:
    connection = joined(1.0)
    connection.handle_timer(30.0)
    assert not hasattr(connection, "__dict__")
    held = [connection, *(getattr(connection, slot) for slot in Connection.__slots__)]
    assert sum(sys.getsizeof(one) for one in held if not isinstance(one, Phase)) < 500


@given(
    st.lists(
        st.tuples(
            st.sampled_from([HELLO, BAD, signal(1), b'{"type":"ping"}', b"", b"\xff", None]),
            st.floats(0, 15),
        ),
        max_size=40,
    )
)
def test_any_history_ends_at_most_once_and_never_raises(
    history: list[tuple[bytes | None, float]],
) -> None:
    connection, now, ended = Connection(0.0), 0.0, 0
    for data, gap in history:
        now += gap
        due = connection.next_timeout()
        if due is not None and due <= now:
            got: ClientMessage | Outputs = connection.handle_timer(now)
        elif data is None:
            got = connection.receive_ping(b"", now)
        else:
            got = connection.receive_message(data, now)
        if isinstance(got, tuple):
            assert not ended or got == ()
            ended += len(closes(got))
            assert not closes(got) or isinstance(got[-1], CloseSocket)
        elif isinstance(got, Hello):
            connection.joined(now)
    assert ended <= 1
    assert (connection.phase is Phase.CLOSED) is bool(ended)
    assert (connection.next_timeout() is None) is bool(ended)
