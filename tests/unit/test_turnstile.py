"""Those whose wait is over go on a few at a time, each once and in order."""

from __future__ import annotations

from functools import partial

from signaling.turnstile import AT_ONCE, Turnstile


def _queued(turnstile: Turnstile, count: int, gone: list[int], *, there: bool = True) -> None:
    def go(number: int) -> bool:
        gone.append(number)
        return there

    for number in range(count):
        turnstile.enter(partial(go, number))


def test_no_more_than_a_few_go_at_once_and_all_of_them_in_the_end() -> None:
    turnstile, gone = Turnstile(), list[int]()
    _queued(turnstile, 2 * AT_ONCE + 1, gone)
    for expected in (AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1):
        assert turnstile.let_through()
        assert gone == list(range(expected))
    assert not turnstile.let_through()
    assert not turnstile.turning


def test_after_the_last_one_there_is_a_pause_before_the_next() -> None:
    """Or those who come one by one would go as they come."""
    turnstile, gone = Turnstile(), list[int]()
    _queued(turnstile, 1, gone)
    assert turnstile.let_through()
    assert turnstile.turning


def test_who_has_gone_away_takes_nobodys_turn() -> None:
    turnstile, away, gone = Turnstile(), list[int](), list[int]()
    _queued(turnstile, 5 * AT_ONCE, away, there=False)
    _queued(turnstile, AT_ONCE, gone)
    turnstile.let_through()
    assert len(gone) == AT_ONCE
