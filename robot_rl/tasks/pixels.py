"""A task seen through cameras: the arm's own senses and image features instead of tracked poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from robot_rl.core.errors import EncoderError, SpecError
from robot_rl.core.spec import ArraySpec, Observation, Spec
from robot_rl.core.types import ArmState, Pose, Sight
from robot_rl.env.stages import StageCounter
from robot_rl.env.task import Judge, Judgement, Senses, Task
from robot_rl.perception.settings import FEATURES, IMAGE, EncoderConfig
from robot_rl.tasks.proprioception import Proprioception

T = TypeVar("T")


class PixelTask:
    """Wraps a task of tracked poses, from which it takes the name, the time limit and the judge.

    The reward comes from the probabilities of a classifier when a `StageCounter` is given, or by the tracked
    poses, as the wrapped task sees them, or from nobody: then only the person says when the task is done.
    """

    def __init__(
        self,
        task: Task,
        proprioception: Proprioception,
        cameras: Sequence[str],
        encoder: EncoderConfig,
        stages: StageCounter | None,
        by_pose: bool = False,
    ) -> None:
        self.task = task
        self.name = f"{task.name}:pixels"
        self.time_limit = task.time_limit
        self.cameras = tuple(cameras)
        self.stages = stages
        self._by_pose = by_pose
        self._proprioception = proprioception
        self._digest = encoder.digest
        self._raw = encoder.kind == "trainable"
        arrays = dict(proprioception.arrays)
        if stages is not None:
            arrays["hold"] = ArraySpec((1,), "1", "", 0, 1)
        self.observation_spec = Spec.of(arrays | _sight_arrays(self.cameras, encoder))

    def reset(self, state: ArmState, senses: Senses) -> Observation:
        self._proprioception.reset(state)
        if self._by_pose:
            self.task.reset(state, senses)
        if self.stages is not None:
            self.stages.reset()
        return self._observe(state, senses.sight)

    def step(self, state: ArmState, senses: Senses) -> Judgement:
        reward, success = 0.0, False
        if self._by_pose:
            _, reward, success = self.task.step(state, senses)
        elif self.stages is not None:
            reward, success, _ = self.stages.update(senses.sight.stages)
        return Judgement(self._observe(state, senses.sight), reward, success)

    def stage(self, state: ArmState, truth: Mapping[str, Pose]) -> int:
        return self.task.stage(state, truth)

    def judge(self) -> Judge:
        return self.task.judge()

    def _observe(self, state: ArmState, sight: Sight) -> Observation:
        observation = self._proprioception.observe(state)
        if self.stages is not None:
            observation["hold"] = np.array([self.stages.fraction], np.float32)
        for camera in self.cameras:
            if self._raw:
                observation[f"{camera}.image"] = _of(sight.images, camera).image
                continue
            features = _of(sight.features, camera)
            if features.encoder != self._digest:
                raise EncoderError(
                    f"the features of {camera!r} come from encoder {features.encoder}, but the task is set "
                    f"up for {self._digest}: start all processes with the same encoder settings"
                )
            observation[f"{camera}.features"] = features.centre
            if len(features.crops):
                observation[f"{camera}.crops"] = features.crops
        return {name: observation[name] for name in self.observation_spec}


def _sight_arrays(cameras: Sequence[str], encoder: EncoderConfig) -> dict[str, ArraySpec]:
    """What the cameras add to the observation: features and crops, or the pictures themselves."""
    if encoder.kind == "trainable":
        return {f"{c}.image": ArraySpec((IMAGE, IMAGE, 3), low=0, high=255, dtype="uint8") for c in cameras}

    def array(*shape: int) -> ArraySpec:
        return ArraySpec(shape, low=-5.0, high=5.0, dtype="float16", encoder=encoder.digest)

    arrays = {f"{camera}.features": array(FEATURES) for camera in cameras}
    if encoder.crops:
        arrays |= {f"{camera}.crops": array(encoder.crops, FEATURES) for camera in cameras}
    return arrays


def _of(seen: Mapping[str, T], camera: str) -> T:
    if camera not in seen:
        raise SpecError(f"the observation needs camera {camera!r}, but only {sorted(seen)} were seen")
    return seen[camera]
