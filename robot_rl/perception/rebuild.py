"""Features again, from the pictures in the logs: what was learned from one encoder's survives the next one.

Replay holds features, which are of no use to another encoder. The pictures that they were made of lie in the
episode logs, with their stamps, and the shifts of a frame's crops follow from its stamp: encoding them again
gives what the graph would have learned from, had it run with this encoder.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import LogError
from robot_rl.core.spec import EnvSpec, Observation, Spec
from robot_rl.core.types import CameraFeatures, Mode, Transition
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.images import LONGEST_GAP, image_topic, images
from robot_rl.data.views import Outcome, episodes, transitions
from robot_rl.perception.encoder import FrameEncoder

_FEATURES, _CROPS = ".features", ".crops"


def rebuilt_spec(spec: EnvSpec, encoder: FrameEncoder) -> EnvSpec:
    """The spec of `rebuild`'s transitions: `spec` with the features and crops of `encoder`.

    Raises:
        LogError: `spec` has no features, or those of a camera that `encoder` does not know.
    """
    cameras = seen_cameras(spec)
    unknown = [camera for camera in cameras if camera not in encoder.cameras]
    if not cameras or unknown:
        raise LogError(
            f"the observations of {spec.name!r} have features of {list(cameras)}, and the encoder "
            f"is for {list(encoder.cameras)}: there is nothing to encode again"
        )
    arrays = {}
    for name, array in spec.observation.entries:
        if name in spec.observation.crop_names:
            continue
        arrays[name] = replace(array, encoder=encoder.digest) if array.encoder else array
        if name == spec.observation.feature_names[-1] and encoder.config.crops:
            shape = (encoder.config.crops, *array.shape)
            arrays |= {f"{camera}{_CROPS}": replace(arrays[name], shape=shape) for camera in cameras}
    return EnvSpec(Spec.of(arrays), spec.action, spec.control_rate, spec.name)


def rebuild(
    path: Path,
    encoder: FrameEncoder,
    modes: Collection[Mode] = tuple(Mode),
    outcome: Outcome | None = None,
    latency: float = 0.0,
) -> Iterator[Transition]:
    """The transitions of `robot_rl.data.views.transitions`, with the features of `encoder`.

    Args:
        path: A run directory, a folder of logs, or one log.
        encoder: Makes the features.
        modes: Only episodes of these modes.
        outcome: Only episodes that ended like this; None: all.
        latency: From exposure to arrival at the actor [s]: 0 in lockstep.

    Raises:
        LogError: A log has no features or lacks the pictures, or a picture is encoded in a way that is not
            read.
    """
    pictures = Pictures(path, encoder, latency)
    for transition in transitions(path, modes, outcome):
        again = pictures.encode_again(transition)
        if again is None:
            topics = " or ".join(map(image_topic, encoder.cameras))
            raise LogError(
                f"{path} holds no pictures on {topics} of step {transition.step} of episode "
                f"{transition.episode}: nothing to encode"
            )
        yield again


class Pictures:
    """The pictures of a run's logs, for transitions from these logs or from the run's journal."""

    def __init__(self, path: Path, encoder: FrameEncoder, latency: float = 0.0) -> None:
        """Look for the logs; they are read when their episode's transitions come.

        Args:
            path: A run directory, a folder of logs, or one log.
            encoder: Makes the features.
            latency: From exposure to arrival at the actor [s]: 0 in lockstep.
        """
        self._encoder = encoder
        self._late = nanoseconds(latency)
        self._logs: dict[int, list[EpisodeInfo]] = {}
        for info in episodes(path):
            self._logs.setdefault(info.episode.index, []).append(info)
        self._tapes: list[_Tape] = []
        self._last: Transition | None = None

    def encode_again(self, transition: Transition) -> Transition | None:
        """The transition with the features of the encoder; None when the logs lack its pictures.

        An observation gets the newest picture of each camera that had arrived by its tick. Call it in the
        order in which the transitions were made.
        """
        last, self._last = self._last, transition
        if last is None or last.episode != transition.episode:
            logs = self._logs.get(transition.episode, [])
            self._tapes = [_Tape(info, self._encoder) for info in logs]
        if not self._tapes:
            return None
        if len(self._tapes) > 1:
            # An episode that ran again has another log, and simulated time may have begun anew in between.
            self._tapes.sort(key=lambda tape: _name(transition) not in tape.names)
        before = transition.stamp - self._tapes[0].period
        if last is not None and _attempt(last) == _attempt(transition) and last.step < transition.step:
            before = last.stamp
        first = self._see(transition.observation, before - self._late)
        second = self._see(transition.next_observation, transition.stamp - self._late)
        if first is None or second is None:
            return None
        return replace(transition, observation=first, next_observation=second)

    def _see(self, observation: Observation, tick: int) -> dict[str, np.ndarray] | None:
        """As the first tape has it that has it: a recorder that was killed has left the episode in two."""
        seen = (tape.see(observation, tick) for tape in self._tapes)
        return next((arrays for arrays in seen if arrays is not None), None)


def seen_cameras(spec: EnvSpec) -> tuple[str, ...]:
    """The cameras whose features are in the observations."""
    return tuple(name.removesuffix(_FEATURES) for name in spec.observation.feature_names)


def _attempt(transition: Transition) -> tuple[str, int, int]:
    return transition.key.actor, transition.key.run, transition.episode


def _name(transition: Transition) -> tuple[str, int, int, int, int]:
    """What tells a transition from all others of its run, also when they are numbered anew."""
    return *_attempt(transition), transition.step, transition.stamp


class _Tape:
    """An episode as the encoder sees it: each camera's features in the order of their stamps."""

    def __init__(self, info: EpisodeInfo, encoder: FrameEncoder) -> None:
        self.period = nanoseconds(1.0 / info.spec.control_rate)
        """From tick to tick [ns]."""
        self._path = info.path
        self._spec = rebuilt_spec(info.spec, encoder).observation
        self._frames: dict[str, list[CameraFeatures]] = {camera: [] for camera in seen_cameras(info.spec)}
        for camera, picture in images(info.path, tuple(self._frames)):
            self._frames[camera].append(encoder.encode({camera: picture})[camera])
        for features in self._frames.values():
            features.sort(key=lambda f: f.stamp)
        self._stamps = {camera: [f.stamp for f in features] for camera, features in self._frames.items()}

    @cached_property
    def names(self) -> frozenset[tuple[str, int, int, int, int]]:
        """Of the transitions in the log."""
        return frozenset(map(_name, transitions(self._path)))

    def see(self, observation: Observation, tick: int) -> dict[str, np.ndarray] | None:
        """The observation with the newest features at the stamp `tick` [ns]; the oldest, if all are newer.

        None when there are none within `LONGEST_GAP`.
        """
        arrays = {name: value for name, value in observation.items() if name in self._spec.arrays}
        for camera, features in self._frames.items():
            place = max(0, bisect_right(self._stamps[camera], tick) - 1)
            if not features or abs(features[place].stamp - tick) > nanoseconds(LONGEST_GAP):
                return None
            arrays[f"{camera}{_FEATURES}"] = features[place].centre
            if len(features[place].crops):
                arrays[f"{camera}{_CROPS}"] = features[place].crops
        return {name: arrays[name] for name in self._spec}
