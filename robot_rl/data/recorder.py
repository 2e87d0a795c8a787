"""Records the episodes of an arm without ROS: the same topics, types and files as the graph's recorder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import (
    ArmState,
    Episode,
    EpisodeResult,
    Intrinsics,
    Sight,
    StampedImage,
    StampedPose,
    TeleopCommand,
    Transition,
)
from robot_rl.data import messages
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, episode_path
from robot_rl.data.images import image_topic
from robot_rl.data.json_messages import POLICY, ControlChange, Intervention, encode

BASE = "base"
"""frame_id of the robot's base."""

SUCCESS_PROBABILITY_TOPIC = "reward/success_probability"
"""Topic of what the reward classifier thinks: the probability of each stage, as `sensor_msgs/JointState`."""


def optical_frame(camera: str) -> str:
    """frame_id of a camera's pictures: x to the right of the image, y down, z out of the lens."""
    return f"{camera}_optical_frame"


def stage_names(count: int) -> list[str]:
    """Names of the stages of a task in `SUCCESS_PROBABILITY_TOPIC`; the last one is success."""
    return [f"stage{i + 1}" for i in range(count)]


class EpisodeRecorder:
    """Writes one log an episode into a folder, as it happens."""

    def __init__(
        self, folder: Path, spec: EnvSpec, intrinsics: Mapping[str, Intrinsics] | None = None
    ) -> None:
        """Record into a folder.

        Args:
            folder: Where the logs go.
            spec: Observation and action of the task.
            intrinsics: Of each camera, logged once an episode.
        """
        self.folder = folder
        self.spec = spec
        self.intrinsics = dict(intrinsics or {})
        self._codec = TransitionCodec(spec)
        self._log: EpisodeLog | None = None
        self._logged: dict[str, int] = {}
        """Topic to the stamp of the last measurement, picture or answer in the log."""
        self._in_control = POLICY

    def begin(self, episode: Episode) -> None:
        """Start the log of an episode; one that was not ended is closed without a result."""
        self.close()
        self._logged, self._in_control = {}, POLICY
        self._log = EpisodeLog(episode_path(self.folder, episode.index), self.spec, episode)

    def state(
        self,
        state: ArmState,
        objects: Mapping[str, StampedPose],
        sight: Sight | None = None,
        person: TeleopCommand | None = None,
    ) -> None:
        """Log what is known at one tick.

        Args:
            state: What the arm reports.
            objects: Measured poses; those that are new since the last tick are logged.
            sight: What the cameras see. New pictures are logged, but no features: they can be made again.
            person: What the person wanted at the tick before this one, with its stamp.
        """
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
            if self._is_new(f"{name}/pose", measured.stamp):
                data = messages.pose_stamped(measured.stamp, measured.pose, BASE)
                write(f"{name}/pose", messages.POSE, data, stamp)
        if sight is not None:
            for camera, picture in sight.images.items():
                self._picture(self._log, camera, picture)
            if sight.stages:
                data = messages.joint_state(
                    stamp, stage_names(len(sight.stages)), np.array(sight.stages), frame=""
                )
                write(SUCCESS_PROBABILITY_TOPIC, messages.JOINT_STATE, data, stamp)
        if person is not None:
            self._answer(self._log, person)

    def _picture(self, log: EpisodeLog, camera: str, picture: StampedImage) -> None:
        topic, stamp = image_topic(camera), picture.stamp
        first = topic not in self._logged
        if not self._is_new(topic, stamp):
            return
        frame = optical_frame(camera)
        if first and camera in self.intrinsics:
            info = messages.camera_info(stamp, self.intrinsics[camera], frame)
            log.write(f"{camera}/camera_info", messages.CAMERA_INFO, info, stamp)
        log.write(topic, messages.IMAGE, messages.image(stamp, picture.image, frame), stamp)

    def _answer(self, log: EpisodeLog, person: TeleopCommand) -> None:
        stamp = person.stamp
        if not self._is_new("intervention/event", stamp):
            return
        event = Intervention(
            stamp,
            person.active,
            person.gripper,
            person.outcome,
            person.label,
            person.who,
            person.lost,
        )
        twist = messages.twist_stamped(stamp, person.twist, BASE)
        log.write("intervention/twist", messages.TWIST, twist, stamp)
        log.write("intervention/event", messages.STRING, messages.string(encode(event)), stamp)
        who = person.who or POLICY
        if who != self._in_control:
            change = encode(ControlChange(stamp, who, self._in_control))
            log.write("intervention/control", messages.STRING, messages.string(change), stamp)
            self._in_control = who

    def _is_new(self, topic: str, stamp: int) -> bool:
        new = self._logged.get(topic) != stamp
        self._logged[topic] = stamp
        return new

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
