"""What is drawn into a video beside the arm."""

from __future__ import annotations

import numpy as np
import pytest

from sim.arm.overlay import BAR, MARGIN, draw_cameras, draw_probabilities


def empty() -> np.ndarray:
    return np.zeros((240, 320, 3), np.uint8)


def bar_of(picture: np.ndarray, row: int) -> np.ndarray:
    """The middle line of the bar that is `row` bars above the lower edge."""
    height = picture.shape[0]
    return picture[height - (row + 1) * (BAR + MARGIN) + BAR // 2, MARGIN:-MARGIN].astype(int)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_a_bar_is_as_long_as_success_is_likely(probability: float) -> None:
    picture = empty()
    draw_probabilities(picture, (probability,))
    line = bar_of(picture, 0)
    filled = (line.max(axis=1) - line.min(axis=1)) > 20
    assert filled.mean() == pytest.approx(probability, abs=0.01)
    assert not picture[:100].any()


def test_success_is_the_lowest_bar_and_turns_green() -> None:
    picture = empty()
    draw_probabilities(picture, (0.1, 0.9), thresholds=(0.5, 0.5))
    success, first = bar_of(picture, 0), bar_of(picture, 1)
    assert success[0, 1] > success[0, 0]
    assert first[0, 0] > first[0, 1]
    middle = len(success) // 2
    assert (success[middle - 1 : middle + 1] > 200).all()


def test_impossible_probabilities_do_no_harm() -> None:
    low, high = empty(), empty()
    draw_probabilities(low, (-1.0,))
    draw_probabilities(high, (7.0,))
    for picture, probability in ((low, 0.0), (high, 1.0)):
        wanted = empty()
        draw_probabilities(wanted, (probability,))
        np.testing.assert_array_equal(picture, wanted)


def test_the_cameras_pictures_are_shown_as_they_are() -> None:
    rng = np.random.default_rng(0)
    views = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(2)]
    picture = empty()
    draw_cameras(picture, views)
    for i, view in enumerate(views):
        left = MARGIN + i * (64 + MARGIN)
        np.testing.assert_array_equal(picture[MARGIN : MARGIN + 64, left : left + 64], view)


def test_a_picture_that_has_no_room_is_left_out() -> None:
    picture = empty()
    draw_cameras(picture, [np.full((300, 300, 3), 200, np.uint8)])
    assert not picture.any()
