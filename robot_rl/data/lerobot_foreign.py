"""What other people's data sets in the LeRobot format mean to one of our tasks.

They give observations, actions and the outcome of `next.reward` and `next.success`, a frame a tick. A frame
with its action becomes a transition to the next frame. The last frame of a successful episode ends the task,
so that what comes after it never counts; that of any other is only where the one before it led to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DatasetError, SpecError
from robot_rl.core.spec import ArraySpec, EnvSpec
from robot_rl.core.types import Episode, EpisodeResult, Key, Mode, Source, Transition
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.columns import OBSERVATION, EpisodeRows
from robot_rl.data.lerobot_reader import LeRobotFolder, Row

ImportedEpisode = tuple[EpisodeRows, list[Transition], dict[str, dict[int, np.ndarray]]]
"""An episode, its transitions, and camera to stamp [ns] to picture."""

ACTOR = "lerobot"
"""The actor in the keys."""
_PART = re.compile(r"(?P<feature>[^\[\]]+)(\[(?P<first>\d+):(?P<end>\d+)\])?")
_PAUSE = 1.0
"""Between the stamps of two episodes [s]."""


class _Part(NamedTuple):
    """Elements of a feature."""

    feature: str
    elements: tuple[int, ...] | None
    """None: the whole feature."""


def foreign_episodes(
    folder: LeRobotFolder, spec: EnvSpec, mapping: Mapping[str, str], successful: bool
) -> Iterator[ImportedEpisode]:
    """The episodes of a data set as successful and failed demonstrations of a task.

    An array of the spec is the feature of its name, with or without "observation.", or the elements of
    `observation.state` that are called after it, such as "tcp.position.x"; so are the elements of the action.

    Args:
        folder: The data set.
        spec: Of the task.
        mapping: Array, or "action", to the feature that it is, for those whose names differ.
        successful: Take every episode for a success when the data set does not say.

    Raises:
        DatasetError: Arrays are missing, values leave their bounds, the rate is another, there are several
            tasks, or nothing says which episodes succeeded.
    """
    if folder.rate != spec.control_rate:
        raise DatasetError(
            f"{folder.root} has {folder.rate:g} frames/s, the task {spec.name!r} has {spec.control_rate:g} "
            "control periods/s"
        )
    if len(folder.tasks) > 1:
        raise DatasetError(
            f"{folder.root} holds several tasks: {', '.join(map(repr, folder.tasks))}. A data set has one: "
            "split it with LeRobot's lerobot-edit-dataset"
        )
    judged = {"next.success", "next.reward"} & set(folder.features)
    if not judged and not successful:
        raise DatasetError(
            f"{folder.root} has neither next.success nor next.reward: say that its episodes are successful "
            "(successful=True, --successful) if they are"
        )
    parts = _match(folder, spec, mapping)
    period = nanoseconds(1.0 / spec.control_rate)
    sequence, start = 0, nanoseconds(_PAUSE)
    for row in folder.episodes:
        episode = _episode(folder, spec, parts, row, sequence, start)
        sequence += len(episode[1])
        start += row["length"] * period + nanoseconds(_PAUSE)
        yield episode


def _match(folder: LeRobotFolder, spec: EnvSpec, mapping: Mapping[str, str]) -> dict[str, _Part]:
    """Array of the spec, and "action", to the part of the data set that it is."""
    wanted = {name: array for name, array in spec.observation.entries} | {fmt.ACTION: spec.action}
    for name in mapping:
        if name not in wanted:
            raise DatasetError(f"the mapping names {name!r}; valid: {', '.join(wanted)}")
    parts: dict[str, _Part] = {}
    for name, array in wanted.items():
        part = _explicit(folder, name, mapping[name]) if name in mapping else _by_name(folder, name, array)
        if part is not None:
            _check_size(folder, name, array, part)
            parts[name] = part
    missing = [name for name in wanted if name not in parts]
    if missing:
        raise DatasetError(
            f"{folder.root} has nothing called after {', '.join(missing)} of the task {spec.name!r}. It has "
            f"{'; '.join(_described(folder))}. Say which is which, as in "
            f"{{{missing[0]!r}: '{fmt.STATE}[0:{wanted[missing[0]].size}]'}}"
        )
    return parts


def _explicit(folder: LeRobotFolder, name: str, text: str) -> _Part:
    match = _PART.fullmatch(text)
    if match is None:
        raise DatasetError(f"{name!r} is mapped to {text!r}, expected FEATURE or FEATURE[FIRST:END]")
    feature = match["feature"]
    if feature not in folder.numeric:
        raise DatasetError(f"{name!r} is mapped to {feature!r}; there is {'; '.join(_described(folder))}")
    if match["first"] is None:
        return _Part(feature, None)
    elements = tuple(range(int(match["first"]), int(match["end"])))
    if not elements or elements[-1] >= folder.size(feature):
        raise DatasetError(
            f"{name!r} is mapped to {text!r}, and {feature} has {folder.size(feature)} elements"
        )
    return _Part(feature, elements)


def _by_name(folder: LeRobotFolder, name: str, array: ArraySpec) -> _Part | None:
    if name == fmt.ACTION:
        theirs = folder.names(name) if name in folder.numeric else []
        if array.names and all(element in theirs for element in array.names):
            return _Part(name, tuple(theirs.index(element) for element in array.names))
        return None
    for feature in (OBSERVATION + name, name):
        if feature in folder.numeric and folder.size(feature) == array.size:
            return _Part(feature, None)
    theirs = folder.names(fmt.STATE) if fmt.STATE in folder.numeric else []
    elements = (
        [f"{name}.{element}" for element in array.names or range(array.size)] if array.shape else [name]
    )
    if all(element in theirs for element in elements):
        return _Part(fmt.STATE, tuple(theirs.index(element) for element in elements))
    return None


def _check_size(folder: LeRobotFolder, name: str, array: ArraySpec, part: _Part) -> None:
    size = folder.size(part.feature) if part.elements is None else len(part.elements)
    if size != array.size:
        raise DatasetError(
            f"{name!r} has {array.size} elements, what is mapped to it in {part.feature} {size}"
        )


def _described(folder: LeRobotFolder) -> list[str]:
    own = ("timestamp", "frame_index", "episode_index", "index", "task_index")
    return [
        f"{name} ({', '.join(folder.names(name)) or f'{folder.size(name)} elements'})"
        for name in folder.numeric
        if name not in own and not name.startswith("next.")
    ]


def _episode(
    folder: LeRobotFolder, spec: EnvSpec, parts: Mapping[str, _Part], row: Row, sequence: int, start: int
) -> ImportedEpisode:
    frames = folder.numbers(row)
    number, count = int(row["episode_index"]), int(row["length"])
    where = f"{folder.root}: episode {number}"
    arrays = {
        name: _values(where, name, spec.observation[name], frames, parts[name]) for name in spec.observation
    }
    actions = _values(where, fmt.ACTION, spec.action, frames, parts[fmt.ACTION])
    rewards = frames["next.reward"].astype(float).tolist() if "next.reward" in frames else None
    if "next.success" in frames:
        success = bool(frames["next.success"].any())
    else:
        success = rewards is None or (count > 0 and rewards[-1] > 0)
    if rewards is None:
        rewards = [0.0] * (count - 1) + [float(success)]
    period = nanoseconds(1.0 / spec.control_rate)
    steps = count if success else count - 1

    def observation(frame: int) -> dict[str, np.ndarray]:
        return {name: array[min(frame, count - 1), ...] for name, array in arrays.items()}

    transitions = [
        Transition(
            key=Key(ACTOR, 0, sequence + step),
            episode=number,
            step=step,
            observation=observation(step),
            action=actions[step],
            proposal=actions[step],
            reward=rewards[step],
            penalty=0.0,
            terminated=success and step == steps - 1,
            truncated=not success and step == steps - 1,
            next_observation=observation(step + 1),
            source=Source.DEMO,
            policy_version=0,
            stamp=start + (step + 1) * period,
        )
        for step in range(steps)
    ]
    episode = Episode(number, 0, Mode.DEMO)
    result = EpisodeResult(
        episode, len(transitions), success, sum(t.reward for t in transitions), 0, steps, 0
    )
    pictures = {
        camera: {start + i * period: image for i, image in enumerate(folder.pictures(row, camera))}
        for camera in folder.cameras
    }
    return EpisodeRows(episode, result, len(transitions)), transitions, pictures


def _values(
    where: str, name: str, array: ArraySpec, frames: Mapping[str, np.ndarray], part: _Part
) -> np.ndarray:
    """(n, ...) of an array's dtype and shape, within its bounds."""
    column = frames[part.feature]
    column = column.reshape(len(column), -1)
    if part.elements is not None:
        column = column[:, list(part.elements)]
    values = column.astype(array.dtype).reshape(len(column), *array.shape)
    for frame, value in enumerate(values):
        try:
            array.validate(name, value)
        except SpecError as error:
            raise DatasetError(f"{where}, frame {frame}: {error}") from None
    return values
