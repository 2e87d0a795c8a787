"""Records the episodes of an arm without ROS: the same topics, types and files as the graph's recorder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import ArmState, Episode, EpisodeResult, StampedPose, Transition
from robot_rl.data import messages
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, episode_path

BASE = "base"
"""frame_id of the robot's base."""


class EpisodeRecorder:
    """Writes one log an episode into a folder, as it happens."""

    def __init__(self, folder: Path, spec: EnvSpec) -> None:
        self.folder = folder
        self.spec = spec
        self._codec = TransitionCodec(spec)
        self._log: EpisodeLog | None = None
        self._measured: dict[str, int] = {}

    def begin(self, episode: Episode) -> None:
        """Start the log of an episode; one that was not ended is closed without a result."""
        self.close()
        self._measured = {}
        self._log = EpisodeLog(episode_path(self.folder, episode.index), self.spec, episode)

    def state(self, state: ArmState, objects: Mapping[str, StampedPose]) -> None:
        """Log what the arm reports at one tick, and the object poses that are new since the last."""
        if self._log is None:
            return
        write, stamp = self._log.write, state.stamp
        finger = state.gripper_width / 2
        position = np.concatenate([state.q, [finger, finger]])
        velocity = np.concatenate([state.dq, [0.0, 0.0]])
        joints = messages.joint_state(stamp, _joint_names(len(state.q)), position, velocity)
        closed = np.array([float(state.gripper_closed)])
        width = np.array([state.gripper_width])
        gripper = messages.joint_state(stamp, ["gripper"], width, np.zeros(1), closed)
        pose, target = (messages.pose_stamped(stamp, p, BASE) for p in (state.tcp, state.target))
        write("joint_states", messages.JOINT_STATE, joints, stamp)
        write("arm/pose", messages.POSE, pose, stamp)
        write("arm/twist", messages.TWIST, messages.twist_stamped(stamp, state.twist, BASE), stamp)
        write("arm/wrench", messages.WRENCH, messages.wrench_stamped(stamp, state.wrench, BASE), stamp)
        write("gripper/state", messages.JOINT_STATE, gripper, stamp)
        write("arm/controller_state", messages.POSE, target, stamp)
        for name, measured in objects.items():
            if self._measured.get(name) != measured.stamp:
                self._measured[name] = measured.stamp
                data = messages.pose_stamped(measured.stamp, measured.pose, BASE)
                write(f"{name}/pose", messages.POSE, data, stamp)

    def transition(self, transition: Transition) -> None:
        """Log a transition."""
        if self._log is not None:
            data = messages.byte_array(self._codec.encode([transition]))
            self._log.write(TRANSITIONS_TOPIC, messages.BYTES, data, transition.stamp)

    def end(self, result: EpisodeResult) -> None:
        """Complete the log of the episode."""
        if self._log is not None:
            self._log.close(result)
            self._log = None

    def close(self) -> None:
        """Complete the log of an episode that was given up, if one is open."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@cache
def _joint_names(arm_joints: int) -> list[str]:
    return [f"joint{i + 1}" for i in range(arm_joints)] + ["finger_joint1", "finger_joint2"]
