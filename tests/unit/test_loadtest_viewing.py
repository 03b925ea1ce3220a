"""Time codes that survive a codec, and what is made of the frames they come in."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.timecode import COLUMNS, HEIGHT, WIDTH, TimeCode, age_ms, frames_between, paint, read
from loadtest.timecode import ROWS as CODE_ROWS
from loadtest.viewing import Viewing, percentile

STRIDE = WIDTH + 64
ROWS = HEIGHT + 100


def _picture(code: TimeCode) -> bytearray:
    luma = bytearray([90]) * (STRIDE * ROWS)
    paint(luma, STRIDE, code)
    return luma


@given(st.integers(0, 2**28 - 1), st.integers(0, 2**14 - 1))
def test_a_code_is_read_as_it_was_painted(at_ms: int, number: int) -> None:
    assert read(bytes(_picture(TimeCode(at_ms, number))), STRIDE) == TimeCode(at_ms, number)


def test_a_code_survives_noise() -> None:
    luma, noise = _picture(TimeCode(123_456_789, 77)), random.Random(1)
    noisy = bytes(min(255, max(0, value + noise.randint(-60, 60))) for value in luma)
    assert read(noisy, STRIDE) == TimeCode(123_456_789, 77)


@given(st.integers(0, COLUMNS * CODE_ROWS - 1))
def test_a_damaged_code_is_none(block: int) -> None:
    luma = _picture(TimeCode(5_000_000, 9))
    row, column = divmod(block, COLUMNS)
    for y in range(row * 16, row * 16 + 16):
        at = y * STRIDE + column * 16
        luma[at : at + 16] = bytes(255 - value for value in luma[at : at + 16])
    assert read(bytes(luma), STRIDE) is None


@pytest.mark.parametrize("luma", [b"", bytes(100), bytes([128]) * (STRIDE * ROWS)])
def test_where_there_is_no_code_none_is_read(luma: bytes) -> None:
    assert read(luma, STRIDE) is None


def test_ages_and_numbers_go_round() -> None:
    assert age_ms(TimeCode(2**28 - 5, 0), 2**28 + 95.0) == 100
    assert age_ms(TimeCode(7, 0), 5 * 2**28 + 47.0) == 40
    assert age_ms(TimeCode(50, 0), 45.0) == -5
    assert frames_between(16_383, 1) == 2
    assert frames_between(1, 16_383) == -2


def _watched(times: list[float], numbers: list[int], delay: float = 40) -> Viewing:
    viewing = Viewing(began_ms=0, fps=25)
    for time, number in zip(times, numbers, strict=True):
        viewing.see(TimeCode(int(time - delay), number), time)
    return viewing


def test_a_smooth_picture_has_neither_freezes_nor_gaps() -> None:
    viewing = _watched([500 + 40.0 * n for n in range(100)], list(range(100)))
    assert viewing.first_frame_ms == 500
    assert (viewing.freezes, viewing.missing, viewing.unreadable) == (0, 0, 0)
    assert percentile(viewing.delays_ms, 0.95) == 40


def test_a_pause_is_a_freeze_and_what_did_not_come_is_missing() -> None:
    times = [40.0 * n for n in range(50)]
    times += [times[-1] + 400 + 40.0 * n for n in range(50)]
    viewing = _watched(times, [*range(50), *range(59, 109)])
    assert viewing.freezes == 1
    assert viewing.frozen_ms == 400
    assert viewing.missing == 9


def test_a_picture_that_never_comes_again_is_a_freeze_to_the_end() -> None:
    viewing = _watched([40.0 * n for n in range(50)], list(range(50)))
    viewing.end(49 * 40 + 60.0)
    assert viewing.freezes == 0
    viewing.end(49 * 40 + 10_000.0)
    assert (viewing.freezes, viewing.frozen_ms) == (1, 10_000)
    assert viewing.seconds() == pytest.approx(49 * 0.04 + 10)


def test_what_was_seen_before_it_begins_does_not_count_but_for_the_first_picture() -> None:
    viewing = _watched([500.0, 540.0, 2000.0, 2040.0], [0, 1, 2, 5], delay=900)
    assert (viewing.freezes, viewing.missing) == (1, 2)
    viewing.begin()
    assert (viewing.freezes, viewing.frozen_ms, viewing.missing) == (0, 0, 0)
    for n in range(50):
        viewing.see(TimeCode(int(3000 + 40 * n - 20), 8 + n), 3000 + 40.0 * n)
    assert viewing.first_frame_ms == 500
    assert (viewing.freezes, viewing.missing) == (0, 2)
    assert len(viewing.at_ms) == 50
    assert percentile(viewing.delays_ms, 0.95) == 20


def test_the_way_alone_is_the_age_of_the_next_picture_when_this_one_was_shown() -> None:
    viewing = Viewing(began_ms=0, fps=25)
    # Made at 0, 40, 90, 120 and 200; each is shown 30 ms after the next one was made.
    for number, made, shown in ((0, 0, 70), (1, 40, 120), (2, 90, 150), (4, 200, 240)):
        viewing.see(TimeCode(made, number), shown)
    assert viewing.delays_ms == [70, 80, 60, 40]
    assert viewing.transits_ms == [30, 30]  # of the last nobody knows: a picture is missing


def test_a_frame_without_a_code_is_shown_and_counted() -> None:
    viewing = _watched([100.0], [1])
    viewing.see(None, 140.0)
    assert viewing.unreadable == 1
    assert len(viewing.delays_ms) == 1


def test_percentiles_are_of_what_was_measured() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(100)), 0.95) == 95
