"""Trains a reward classifier from labelled frames, and says how far it can be trusted.

1. The keys are late: their delay is estimated and taken back (`key_delay`), and frames near a change of the
   label are dropped.
2. Some presses are wrong: every episode is judged by a classifier trained on other episodes. Runs of labels
   that it strongly contradicts, and that touch a change of the key, are dropped as pressed wrongly. Labels
   that it contradicts elsewhere stay, since those of a failure that looks like success are the ones to learn
   from; all of them are reported for a person to look at.
3. It is judged again without them: accuracy, calibration, and the threshold, the lowest one with the fewest
   held-out episodes that it would have rewarded without success.
4. What is shipped is trained on all episodes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from robot_rl.core.errors import ClassifierError
from robot_rl.core.protocols import Encoder
from robot_rl.perception.classifier import ClassifierFacts, RewardClassifier
from robot_rl.perception.classifier_fit import fit
from robot_rl.perception.classifier_report import (
    ClassifierReport,
    FrameCase,
    balanced_accuracy,
    calibration,
    choose_threshold,
    judge_episodes,
)
from robot_rl.perception.key_delay import DelayEstimate, estimate_delay, reached, targets
from robot_rl.perception.key_labels import UNLABELLED, UNTOUCHED, LabelledEpisode, read_episodes
from robot_rl.perception.settings import ClassifierTraining

_POSITIVES = 256
"""Most frames of success that a classifier keeps for those who go on training it."""


def train_classifier(
    logs: Path, encoder: Encoder, config: ClassifierTraining
) -> tuple[RewardClassifier, ClassifierReport]:
    """Train from the label episodes of a run.

    Args:
        logs: A run directory, or a folder of episode logs.
        encoder: Makes the features; with crops, they are learned from too.
        config: How.

    Raises:
        ClassifierError: There are no labels, too few, or of one kind only.
    """
    return train_on_episodes(read_episodes(logs, encoder), encoder.cameras, encoder.digest, config)


def train_on_episodes(
    episodes: Sequence[LabelledEpisode], cameras: Sequence[str], encoder: str, config: ClassifierTraining
) -> tuple[RewardClassifier, ClassifierReport]:
    """As `train_classifier`, from episodes whose features are there already; `encoder` is its digest."""
    start = time.process_time()
    stages = config.stages or max(int(episode.said.max()) for episode in episodes)
    check_labels(episodes, stages, config)
    if config.delay >= 0:
        estimate = DelayEstimate(config.delay, (), (config.delay,))
    else:
        estimate = estimate_delay(episodes, stages, config.max_delay, config.folds, config.seed)
    said = [targets(episode, stages, estimate.delay, 0) for episode in episodes]
    wanted = [targets(episode, stages, estimate.delay, config.margin) for episode in episodes]
    folds = _folds(wanted, config)

    held_out = _cross_validate(episodes, wanted, folds, config)
    suspicious = _suspicious(episodes, wanted, said, held_out, config)
    kept = [target.copy() for target in wanted]
    for case in suspicious:
        if case.dropped:
            kept[case.place][case.frame, case.stage - 1] = UNLABELLED
    check_counts(kept, config)
    changed = any((a != b).any() for a, b in zip(wanted, kept, strict=True))
    wanted = kept
    if changed:
        held_out = _cross_validate(episodes, wanted, folds, config)

    ticks = max(1, round(config.hold_time * episodes[0].rate))
    threshold = choose_threshold(held_out, wanted, ticks)
    every = np.concatenate(wanted)
    table = calibration(np.concatenate(held_out), every)
    features = np.concatenate([episode.features for episode in episodes])
    weights = fit(features, every, config, config.seed)
    facts = ClassifierFacts(
        encoder=encoder,
        cameras=tuple(cameras),
        stages=stages,
        threshold=threshold,
        hold_ticks=ticks,
        delay=estimate.delay,
        positives=tuple((every == 1).sum(axis=0).tolist()),
        negatives=tuple((every == 0).sum(axis=0).tolist()),
        calibration=table,
    )
    report = ClassifierReport(
        facts=facts,
        delay=estimate,
        accuracy_away=balanced_accuracy(held_out, wanted, threshold),
        accuracy_all=balanced_accuracy(held_out, said, threshold),
        episodes=judge_episodes([e.index for e in episodes], held_out, wanted, threshold, ticks),
        suspicious=tuple(suspicious),
        false_positives=tuple(_false_positives(episodes, wanted, held_out, threshold)),
        train_cpu_s=time.process_time() - start,
    )
    return RewardClassifier(weights, facts, _spread(features[every[:, -1] == 1, 0], _POSITIVES)), report


def check_labels(episodes: Sequence[LabelledEpisode], stages: int, config: ClassifierTraining) -> None:
    """Raise `ClassifierError` unless there are frames of both kinds of every stage, as they are labelled."""
    if stages < 1:
        frames = sum(int((episode.said == 0).sum()) for episode in episodes)
        raise ClassifierError(
            f"all {frames} labelled frames say that nothing is reached, and none says success: record "
            "episodes in which the person reaches the goal and holds the key while she is there"
        )
    check_counts([reached(episode.said, stages) for episode in episodes], config)


def check_counts(wanted: Sequence[np.ndarray], config: ClassifierTraining) -> None:
    """Raise `ClassifierError` when there are too few frames or episodes of a kind of any stage."""
    for stage in range(wanted[0].shape[1]):
        columns = [target[:, stage] for target in wanted]
        yes, no = (sum(int((column == value).sum()) for column in columns) for value in (1, 0))
        among = sum(bool((column == 1).any()) for column in columns)
        found = f"stage {stage + 1}: {yes} frames in {among} episodes have reached it, {no} frames have not"
        if yes < config.min_frames or among < 2:
            raise ClassifierError(
                f"{found}; needed are {config.min_frames} of either, and 2 episodes that reach it. Record "
                "more episodes in which the person reaches it and holds its key (200 frames are good)"
            )
        if no < config.min_frames:
            raise ClassifierError(
                f"{found}; needed are {config.min_frames} of either. Record failures too: near the goal but "
                "not there, with the key released (2 to 3 times as many frames as of success)"
            )


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]


def _folds(wanted: Sequence[np.ndarray], config: ClassifierTraining) -> np.ndarray:
    """Fold of each episode; episodes that get equally far are dealt out evenly."""
    far = np.array([(target == 1).any(axis=0).sum() for target in wanted])
    order = np.random.default_rng(config.seed).permutation(len(wanted))
    order = order[np.argsort(far[order], kind="stable")]
    out = np.empty(len(wanted), np.int64)
    out[order] = np.arange(len(wanted)) % min(config.folds, len(wanted))
    return out


def _cross_validate(
    episodes: Sequence[LabelledEpisode],
    wanted: Sequence[np.ndarray],
    folds: np.ndarray,
    config: ClassifierTraining,
) -> list[np.ndarray]:
    """(T, stages) probabilities of each episode, by a classifier that was trained on the other folds."""
    out: list[np.ndarray] = [np.empty(0)] * len(episodes)
    for fold in range(int(folds.max()) + 1):
        train = np.flatnonzero(folds != fold).tolist()
        features = np.concatenate([episodes[i].features for i in train])
        weights = fit(features, np.concatenate([wanted[i] for i in train]), config, config.seed + 1 + fold)
        classifier = _bare(weights)
        for i in np.flatnonzero(folds == fold).tolist():
            out[i] = classifier.probabilities(episodes[i].features[:, 0])
    return out


def _bare(weights: dict[str, np.ndarray]) -> RewardClassifier:
    """A classifier of which nothing is known yet but its weights."""
    stages = weights["w2"].shape[2]
    return RewardClassifier(weights, ClassifierFacts("", (), stages, 0.5, 1, 0, (), ()))


def _suspicious(
    episodes: Sequence[LabelledEpisode],
    wanted: Sequence[np.ndarray],
    said: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    config: ClassifierTraining,
) -> list[FrameCase]:
    """The frames whose label the held-out probability strongly contradicts."""
    cases = []
    for place, (episode, target) in enumerate(zip(episodes, said, strict=True)):
        probability = held_out[place]
        odd = (target != UNLABELLED) & (np.abs(probability - target) > config.suspicion)
        for stage in range(target.shape[1]):
            for first, end in _runs(odd[:, stage]):
                around = target[max(first - config.margin - 1, 0) : end + config.margin + 1, stage]
                pressed = {0, 1} <= set(around.tolist()) and end - first <= config.longest_slip
                by_hand = bool((episode.corrected[first:end] != UNTOUCHED).any())
                for frame in range(first, end):
                    left_out = bool(wanted[place][frame, stage] == UNLABELLED) or (pressed and not by_hand)
                    cases.append(_case(episode, place, frame, stage, target, probability, left_out))
    return cases


def _false_positives(
    episodes: Sequence[LabelledEpisode],
    wanted: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    threshold: float,
) -> list[FrameCase]:
    """The frames that look reached to the held-out classifier, and are not by their label."""
    return [
        _case(episode, place, int(frame), int(stage), target, probability, False)
        for place, (episode, target, probability) in enumerate(zip(episodes, wanted, held_out, strict=True))
        for frame, stage in np.argwhere((probability >= threshold) & (target == 0))
    ]


def _case(
    episode: LabelledEpisode,
    place: int,
    frame: int,
    stage: int,
    target: np.ndarray,
    probability: np.ndarray,
    dropped: bool,
) -> FrameCase:
    return FrameCase(
        path=episode.path,
        place=place,
        episode=episode.index,
        frame=frame,
        stamp=int(episode.stamps[frame]),
        stage=stage + 1,
        label=int(target[frame, stage]),
        probability=float(probability[frame, stage]),
        dropped=dropped,
    )


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and end of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in list(pairwise(edges))[::2]]
