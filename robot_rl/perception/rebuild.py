"""Features again, from the pictures in the logs: what was learned from one encoder's survives the next one.

Replay holds features, which are of no use to another encoder. The pictures that they were made of lie in the
episode logs, with their stamps, and the shifts of a frame's crops follow from its stamp: encoding them again
gives what the graph would have learned from, had it run with this encoder.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import LogError
from robot_rl.core.spec import EnvSpec, Observation, Spec
from robot_rl.core.types import CameraFeatures, Mode, Transition
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.images import image_topic, images
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

    An observation gets the newest picture of each camera that had arrived by its tick.

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
    logs = {info.episode.index: info for info in episodes(path)}
    late = nanoseconds(latency)
    tape, current, before = _Tape.empty(), -1, 0
    for transition in transitions(path, modes, outcome):
        info = logs[transition.episode]
        if transition.episode != current:
            tape, current = _Tape.of(info, encoder), transition.episode
            before = transition.stamp - nanoseconds(1.0 / info.spec.control_rate)
        yield replace(
            transition,
            observation=tape.see(transition.observation, before - late),
            next_observation=tape.see(transition.next_observation, transition.stamp - late),
        )
        before = transition.stamp


def seen_cameras(spec: EnvSpec) -> tuple[str, ...]:
    """The cameras whose features are in the observations."""
    return tuple(name.removesuffix(_FEATURES) for name in spec.observation.feature_names)


class _Tape:
    """An episode as the encoder sees it: each camera's features in the order of their stamps."""

    def __init__(self, info: EpisodeInfo | None, spec: Spec, frames: dict[str, list[CameraFeatures]]) -> None:
        self._info, self._spec, self._frames = info, spec, frames
        self._stamps = {camera: [f.stamp for f in features] for camera, features in frames.items()}

    @classmethod
    def empty(cls) -> _Tape:
        return cls(None, Spec.of({}), {})

    @classmethod
    def of(cls, info: EpisodeInfo, encoder: FrameEncoder) -> _Tape:
        spec = rebuilt_spec(info.spec, encoder).observation
        frames: dict[str, list[CameraFeatures]] = {camera: [] for camera in seen_cameras(info.spec)}
        for camera, picture in images(info.path, tuple(frames)):
            frames[camera].append(encoder.encode({camera: picture})[camera])
        for camera, features in frames.items():
            if not features:
                raise LogError(f"{info.path} holds no pictures on {image_topic(camera)}: nothing to encode")
            features.sort(key=lambda f: f.stamp)
        return cls(info, spec, frames)

    def see(self, observation: Observation, tick: int) -> dict[str, np.ndarray]:
        """The observation with the newest features at the stamp `tick` [ns]; the oldest, if all are newer."""
        arrays = {name: value for name, value in observation.items() if name in self._spec.arrays}
        for camera, features in self._frames.items():
            newest = features[max(0, bisect_right(self._stamps[camera], tick) - 1)]
            arrays[f"{camera}{_FEATURES}"] = newest.centre
            if len(newest.crops):
                arrays[f"{camera}{_CROPS}"] = newest.crops
        return {name: arrays[name] for name in self._spec}
