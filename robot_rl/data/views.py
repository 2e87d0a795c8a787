"""Views of episode logs: the episodes of a run, their transitions, stacked arrays.

Nothing is copied into another format: demonstrations, replay buffers and analyses all read the logs of a run.
`robot_rl.data.dataset` looks at several runs as one data set, and `robot_rl.data.statistics` counts.
`robot_rl.data.journal.read_journal` gives the same transitions from the learner's journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from robot_rl.core.errors import CodecError, LogError
from robot_rl.core.types import Key, Mode, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeInfo, attempt_of, read_info, read_raw
from robot_rl.data.mcap_scan import RawMessage
from robot_rl.data.messages import deserialize

Outcome = Literal["success", "failure"]


@dataclass(frozen=True)
class Batch:
    """Transitions as arrays whose first axis counts them; units and frames are those of the spec."""

    observation: dict[str, np.ndarray]
    next_observation: dict[str, np.ndarray]
    action: np.ndarray
    """(n, a) float32, executed."""
    proposal: np.ndarray
    """(n, a) float32, what the policy wanted."""
    reward: np.ndarray
    """(n,) float32."""
    penalty: np.ndarray
    """(n,) float32."""
    terminated: np.ndarray
    """(n,) bool."""
    truncated: np.ndarray
    """(n,) bool."""
    source: np.ndarray
    """(n,) int8, values of `Source`."""
    episode: np.ndarray
    """(n,) int64."""
    step: np.ndarray
    """(n,) int64."""
    stamp: np.ndarray
    """(n,) int64 [ns]."""


def episodes(
    path: Path, modes: Collection[Mode] = tuple(Mode), outcome: Outcome | None = None
) -> list[EpisodeInfo]:
    """The episodes below `path` in the order of their index.

    Args:
        path: A run directory, a folder of logs, or one log. Logs of killed writers count as far as they go.
        modes: Only episodes of these modes.
        outcome: Only episodes that ended like this; None: all, also those without a result.
    """
    infos = [read_info(file, tolerant=True) for file in _files(path)]
    return sorted(
        (info for info in infos if info.episode.mode in modes and ended(info, outcome)),
        key=lambda info: (info.episode.index, attempt_of(info.path), info.path.name),
    )


def transitions(
    path: Path, modes: Collection[Mode] = tuple(Mode), outcome: Outcome | None = None
) -> Iterator[Transition]:
    """The transitions of the episodes that `episodes` finds, each key once, in sequence within a log.

    A transition belongs to the log of its episode wherever it was written: an actor that sends again what was
    not acknowledged may still do so when the next episode has begun.
    """
    all_infos = episodes(path)
    wanted = {info.path for info in all_infos if info.episode.mode in modes and ended(info, outcome)}
    found = assigned(all_infos, all_infos)
    for _, group in groupby(found, key=lambda one: one.log.path):
        chosen = [one.transition for one in group if one.owner.path in wanted]
        yield from sorted(chosen, key=lambda transition: transition.key)


class Assigned(NamedTuple):
    """A logged transition, where it was found, and the log of its episode."""

    owner: EpisodeInfo
    log: EpisodeInfo
    transition: Transition


def assigned(logs: Iterable[EpisodeInfo], run: Iterable[EpisodeInfo]) -> Iterator[Assigned]:
    """The transitions in `logs`, in the order of writing, each key once.

    A log of the episode's own index owns a transition where it lies in one; elsewhere the last log of `run`
    that has its index does. Transitions of an episode without a log are left out.
    """
    log_of = {info.episode.index: info for info in run}
    seen: set[Key] = set()
    for info in logs:
        for transition in logged(info):
            own = info if transition.episode == info.episode.index else log_of.get(transition.episode)
            if own is not None and transition.key not in seen:
                seen.add(transition.key)
                yield Assigned(own, info, transition)


def demonstrations(path: Path) -> Iterator[Transition]:
    """The transitions of the successful demonstrations below `path`."""
    return transitions(path, modes=[Mode.DEMO], outcome="success")


def stack(batch: Iterable[Transition]) -> Batch:
    """Transitions as arrays, for cloning or analysis; `LogError` when there are none."""
    rows = list(batch)
    if not rows:
        raise LogError("there are no transitions to stack: no episode fits the wanted modes and outcome")

    def column(name: str, dtype: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], dtype)

    return Batch(
        observation={k: np.stack([r.observation[k] for r in rows]) for k in rows[0].observation},
        next_observation={k: np.stack([r.next_observation[k] for r in rows]) for k in rows[0].observation},
        action=column("action", "float32"),
        proposal=column("proposal", "float32"),
        reward=column("reward", "float32"),
        penalty=column("penalty", "float32"),
        terminated=column("terminated", "bool"),
        truncated=column("truncated", "bool"),
        source=column("source", "int8"),
        episode=column("episode", "int64"),
        step=column("step", "int64"),
        stamp=column("stamp", "int64"),
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    folder = path / "episodes" if (path / "episodes").is_dir() else path
    # A writer killed at once leaves an empty file.
    files = sorted(file for file in folder.glob("*.mcap") if file.stat().st_size)
    if not files:
        raise LogError(f"{path} holds no episode logs: expected *.mcap in it, or in its folder episodes/")
    return files


def ended(info: EpisodeInfo, outcome: Outcome | None) -> bool:
    """Whether the episode ended like this; None: always."""
    if outcome is None:
        return True
    return info.result is not None and info.result.success == (outcome == "success")


def logged(info: EpisodeInfo) -> Iterator[Transition]:
    """All transitions in a log, as they were written: also those of other episodes, and those sent again."""
    codec = TransitionCodec(info.spec)
    for message in read_raw(info.path, tolerant=True):
        if carries_transitions(message.topic):
            yield from decode_transitions(info, codec, message)


def carries_transitions(topic: str) -> bool:
    """Whether a logged topic, in whatever namespace, is that of the transitions."""
    return f"/{topic}".endswith(f"/{TRANSITIONS_TOPIC}")


def decode_transitions(info: EpisodeInfo, codec: TransitionCodec, message: RawMessage) -> list[Transition]:
    """The transitions of one message of a log; `LogError` names the message when it is damaged."""
    try:
        return codec.decode(deserialize(message.data, message.msgtype).data)
    except CodecError as error:
        raise LogError(f"{info.path}: {message.topic} at {message.stamp} ns: {error}") from None
