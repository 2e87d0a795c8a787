"""What a video shows beside the arm: what its cameras see, and how likely success looks to the classifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

MARGIN = 8
"""From the edge of the picture, and between what is drawn [pixels]."""
BAR = 14
"""Height of a stage's bar [pixels]."""

_EMPTY = (40, 40, 40)
_UNLIKELY = np.array([200.0, 70.0, 50.0])
_LIKELY = np.array([60.0, 180.0, 90.0])
_FRAME = (230, 230, 230)


def draw_cameras(picture: np.ndarray, views: Iterable[np.ndarray]) -> None:
    """Put the cameras' pictures into the upper left corner, side by side; changes `picture`.

    Args:
        picture: (h, w, 3) uint8.
        views: (a, b, 3) uint8 each, smaller than `picture`; those that have no room are left out.
    """
    left = MARGIN
    for view in views:
        height, width = view.shape[:2]
        if left + width + MARGIN > picture.shape[1] or height + 2 * MARGIN > picture.shape[0]:
            return
        _fill(picture, MARGIN - 1, left - 1, height + 2, width + 2, _FRAME)
        picture[MARGIN : MARGIN + height, left : left + width] = view
        left += width + MARGIN


def draw_probabilities(
    picture: np.ndarray, stages: Sequence[float], thresholds: Sequence[float] = ()
) -> None:
    """Draw a bar along the lower edge for the probability of each stage; changes `picture`.

    Args:
        picture: (h, w, 3) uint8.
        stages: Probabilities; the last one, success, is the lowest bar.
        thresholds: Where a stage counts as seen, one each, marked by a line.
    """
    height, width = picture.shape[:2]
    length = width - 2 * MARGIN
    for i, probability in enumerate(reversed(stages)):
        top = height - (i + 1) * (BAR + MARGIN)
        p = min(max(float(probability), 0.0), 1.0)
        colour = tuple(((1.0 - p) * _UNLIKELY + p * _LIKELY).astype(int).tolist())
        _fill(picture, top - 1, MARGIN - 1, BAR + 2, length + 2, _FRAME)
        _fill(picture, top, MARGIN, BAR, length, _EMPTY)
        _fill(picture, top, MARGIN, BAR, round(p * length), colour)
    for i, threshold in enumerate(reversed(thresholds)):
        top = height - (i + 1) * (BAR + MARGIN)
        _fill(picture, top - 3, MARGIN + round(threshold * length) - 1, BAR + 6, 2, _FRAME)


def _fill(picture: np.ndarray, top: int, left: int, height: int, width: int, colour: tuple[int, ...]) -> None:
    picture[max(top, 0) : top + height, max(left, 0) : left + width] = colour
