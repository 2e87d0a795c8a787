"""From key presses, which are late and sometimes wrong, to targets that a classifier can trust.

Presses and releases are both late, by d frames. So the boundary between the classes, as the keys draw it,
lies too far up on the way up and too far down on the way down, and two frames that look alike get two labels.
The keys y shifted back by s, y(t + s), are a function of what is seen only when s = d: that is how d is
found, from the data alone. Where the scene always changes the same way and at the same speed, s cannot be
told from a shifted boundary; `DelayEstimate.plausible` then holds several shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from robot_rl.perception.key_labels import UNLABELLED, UNTOUCHED, LabelledEpisode

_AFTER = 8
"""Frames beyond the tried delays that are looked at on either side of a key's change."""
_MOST = 2500
"""Most frames of the estimate; episodes beyond them are left out."""
_RIDGES = (0.03, 0.3, 3.0)
"""Ridge penalties that are tried, relative to a kernel whose diagonal is 1."""


class DelayEstimate(NamedTuple):
    """How late the keys are."""

    delay: int
    """Shift that explains the keys best [frames]."""
    losses: tuple[float, ...]
    """Held-out squared error near the changes of the keys, for a shift of 0, 1, ... frames; () where the
    delay was given."""
    plausible: tuple[int, ...]
    """Shifts that no episode-to-episode scatter tells from the best: the difference in loss is below two
    standard errors."""


def targets(episode: LabelledEpisode, stages: int, delay: int, margin: int) -> np.ndarray:
    """What a classifier should say about each frame and stage.

    The keys are shifted back by `delay`, and frames within `margin` of a change of a stage are dropped from
    that stage: a wrong press of at most 2 x `margin` frames vanishes with them. Corrections are taken as they
    are.

    Returns:
        (T, stages) int8: 1 reached, 0 not reached, -1 unknown.
    """
    out = reached(shift(episode.keys, delay), stages)
    for column in out.T:
        column[near_changes(column, margin)] = UNLABELLED
    by_hand = episode.corrected != UNTOUCHED
    out[by_hand] = reached(episode.corrected, stages)[by_hand]
    return out


def shift(keys: np.ndarray, frames: int) -> np.ndarray:
    """keys(t + frames); the end, about which nothing was said in time, is unlabelled."""
    return np.concatenate([keys[frames:], np.full(min(frames, len(keys)), UNLABELLED)])


def reached(labels: np.ndarray, stages: int) -> np.ndarray:
    """(T, stages) int8: stage k is reached where the label is k or higher; -1 where there is no label."""
    out = (labels[:, None] >= np.arange(1, stages + 1)).astype(np.int8)
    out[labels == UNLABELLED] = UNLABELLED
    return out


def near_changes(column: np.ndarray, margin: int) -> np.ndarray:
    """(T,) bool: within `margin` frames of a change between 0 and 1; unlabelled frames are looked through."""
    near = np.zeros(len(column), bool)
    known = np.flatnonzero(column != UNLABELLED)
    for before, after in pairwise(known):
        if margin and column[before] != column[after]:
            near[max(before - margin + 1, 0) : after + margin] = True
    return near


def estimate_delay(
    episodes: Sequence[LabelledEpisode], stages: int, max_delay: int, folds: int, seed: int
) -> DelayEstimate:
    """Find the shift of the keys that a static classifier explains best.

    The classifier is kernel ridge regression on the features of the whole frames, with a Gaussian kernel as
    wide as the median distance. It is solved in closed form for all shifts at once, on the same frames: those
    near the keys' changes. So the shifts differ in nothing but their labels. What is held out is a change at
    a time rather than an episode: the boundary is best told from the other changes of the same episode, where
    all else looks the same, and there a press and a release disagree unless the shift is right.
    """
    chosen = [near for episode in episodes if (near := _transitions(episode, stages, max_delay)) is not None]
    order = np.random.default_rng(seed).permutation(len(chosen))
    kept: list[_Transitions] = []
    for i in order:
        if sum(len(t.features) for t in kept) < _MOST:
            kept.append(chosen[i])
    if len(kept) < 2:
        return DelayEstimate(0, (0.0,) * (max_delay + 1), tuple(range(max_delay + 1)))
    errors = min((_held_out(kept, folds, ridge) for ridge in _RIDGES), key=lambda e: e.mean(axis=0).min())
    losses = errors.mean(axis=0)
    best = int(losses.argmin())
    apart = errors - errors[:, best : best + 1]
    scatter = apart.std(axis=0, ddof=1) / np.sqrt(len(apart))
    plausible = np.flatnonzero(apart.mean(axis=0) <= 2.0 * scatter)
    return DelayEstimate(best, tuple(map(float, losses)), tuple(map(int, plausible)))


class _Transitions(NamedTuple):
    """The frames of one episode near the changes of its keys."""

    features: np.ndarray
    """(n, D) float32."""
    labels: np.ndarray
    """(n, shifts, stages) float32 in {0, 1}."""
    change: np.ndarray
    """(n,) int64: which change of the episode is nearest, counted from 0."""


def _transitions(episode: LabelledEpisode, stages: int, max_delay: int) -> _Transitions | None:
    keys = np.where(episode.corrected == UNTOUCHED, episode.keys, UNLABELLED)
    labelled = keys != UNLABELLED
    changes = np.flatnonzero((keys[1:] != keys[:-1]) & labelled[1:] & labelled[:-1]) + 1
    if not len(changes):
        return None
    # The end keeps its last key: an episode that ends upon success would lose its transition otherwise.
    padded = np.concatenate([keys, np.full(max_delay, keys[labelled][-1])])
    shifted = np.stack([padded[s : s + len(keys)] for s in range(max_delay + 1)], axis=1)
    frame = np.arange(len(keys))
    # What was seen at a change happened up to `max_delay` frames before it; the middle of that is its place.
    apart = frame[:, None] - (changes - max_delay // 2)
    nearest = np.abs(apart).argmin(axis=1)
    near = np.abs(apart[frame, nearest]) <= max_delay // 2 + _AFTER
    near &= (shifted != UNLABELLED).all(axis=1)
    if not near.any():
        return None
    labels = shifted[near][:, :, None] >= np.arange(1, stages + 1)
    return _Transitions(
        episode.features[near, 0].astype(np.float32), labels.astype(np.float32), nearest[near]
    )


def _held_out(parts: Sequence[_Transitions], folds: int, ridge: float) -> np.ndarray:
    """(episodes, shifts) mean squared error of each episode, each change predicted from other folds' ones."""
    features = np.concatenate([part.features for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    owner = np.repeat(np.arange(len(parts)), [len(part.features) for part in parts])
    fold = (np.concatenate([part.change for part in parts]) + owner) % folds
    squared = (features**2).sum(axis=1)
    apart = np.maximum(squared[:, None] + squared - 2.0 * features @ features.T, 0.0)
    kernel = np.exp(-apart / max(float(np.median(apart)), 1e-12))
    flat = labels.reshape(len(labels), -1)
    error = np.empty(flat.shape)
    for held in np.unique(fold):
        out = fold == held
        train = flat[~out]
        mean = train.mean(axis=0)
        gram = kernel[np.ix_(~out, ~out)] + ridge * np.eye(len(train), dtype=np.float32)
        weights = np.linalg.solve(gram, train - mean)
        predicted = np.clip(kernel[np.ix_(out, ~out)] @ weights + mean, 0.0, 1.0)
        error[out] = (predicted - flat[out]) ** 2
    each = error.reshape(labels.shape).mean(axis=2)
    return np.stack([each[owner == i].mean(axis=0) for i in range(len(parts))])
