"""The rule that unit tests open no socket holds: breaking it fails the test."""

import asyncio
import contextlib
import socket

import pytest


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_opening_a_socket_fails_the_test(family: socket.AddressFamily) -> None:
    with (
        pytest.raises(pytest.fail.Exception, match="opened a socket"),
        contextlib.suppress(Exception),
    ):
        socket.socket(family)


def test_looking_up_a_name_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception):
        socket.getaddrinfo("localhost", 80)


async def test_an_event_loop_fails_to_connect_too() -> None:
    with pytest.raises(pytest.fail.Exception):
        await asyncio.open_unix_connection("/nonexistent")


def test_an_event_loop_of_its_own_is_fine() -> None:
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"
