"""The values that travel through the project: states, commands, steps and transitions.

All arrays are NumPy, SI units, quaternions xyzw, poses and twists in the robot's base frame unless a name
says otherwise. Stamps are integer nanoseconds of the graph's clock (simulated time in lockstep).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

import numpy as np

from robot_rl.core.spec import Observation


class Source(IntEnum):
    """Who chose the action that was executed."""

    POLICY = 0
    HUMAN = 1
    """A person who corrects the policy."""
    DEMO = 2
    """A person who demonstrates."""
    SCRIPT = 3
    """A rule: the arm holds still, since the device of a person in control is lost."""


class Mode(Enum):
    """What an episode is for, which decides who acts and what is learned from it."""

    DEMO = "demo"
    """The person acts throughout."""
    TRAIN = "train"
    """The policy explores; the person may intervene."""
    EVAL = "eval"
    """The policy alone; nobody helps and nothing is learned."""
    LABEL = "label"
    """The person shows success and failure, and says by key which it is: data for a reward classifier."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Position [m] and orientation (unit quaternion xyzw) of a frame in the base frame."""

    position: np.ndarray  # (3,)
    quaternion: np.ndarray  # (4,) xyzw


@dataclass(frozen=True, slots=True)
class StampedPose:
    """A measured pose and the time at which it was true [ns]."""

    stamp: int
    pose: Pose


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera, as in `sensor_msgs/CameraInfo` [pixels]."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    """Column of the principal point; the centre of the first pixel is 0."""
    cy: float
    """Row of the principal point."""
    distortion: tuple[float, ...] = ()
    """Coefficients k1, k2, p1, p2, k3 of the model "plumb_bob"; () for none."""


@dataclass(frozen=True, slots=True)
class StampedImage:
    """A picture and the time of its exposure [ns]."""

    stamp: int
    image: np.ndarray
    """(h, w, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class CameraFeatures:
    """What an encoder makes of one picture."""

    stamp: int
    """Exposure of the picture [ns]."""
    centre: np.ndarray
    """(d,) float16, of the whole picture, normalised: what a policy acts on."""
    crops: np.ndarray
    """(K, d) float16, of randomly shifted crops, for replay; K may be 0."""
    encoder: str
    """Digest of the encoder."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the cameras tell at one instant."""

    features: Mapping[str, CameraFeatures] = field(default_factory=dict)
    """Camera to the features of its newest picture."""
    stages: tuple[float, ...] = ()
    """Probability that each stage of the task is reached, the last one being success; () without a
    classifier."""
    images: Mapping[str, StampedImage] = field(default_factory=dict)
    """Camera to the picture, where this process has it."""


@dataclass(frozen=True, slots=True)
class ArmState:
    """All that an arm with a gripper reports at one instant."""

    stamp: int
    """Time of the measurement [ns]."""
    q: np.ndarray
    """(n,) joint positions [rad]."""
    dq: np.ndarray
    """(n,) joint velocities [rad/s]."""
    tcp: Pose
    """Tool centre point in the base frame."""
    twist: np.ndarray
    """(6,) velocity of the TCP, base frame: linear [m/s], angular [rad/s]."""
    wrench: np.ndarray
    """(6,) external force [N] and torque [Nm] on the TCP, base frame."""
    gripper_width: float
    """Opening between the fingers [m]."""
    gripper_closed: bool
    """The last gripper command: True for close."""
    target: Pose
    """The TCP pose that the controller holds, after the safety limits."""
    fault: str = ""
    """Reason of the latched fault, "" when there is none. A faulted arm holds."""
    peak_force: float = 0.0
    """Largest external force since the last reset, at any tick of the controller [N]."""
    holding: bool = False
    """No command is in force: the arm holds its place."""
    limited: str = ""
    """What the last command was clipped or dropped for, "" for nothing."""


@dataclass(frozen=True, slots=True)
class ArmCommand:
    """Set-point of one control period. It expires after the safety limits' command timeout."""

    stamp: int
    """Stamp of the state that it answers [ns]."""
    target: Pose
    """Wanted TCP pose in the base frame."""
    close_gripper: bool


@dataclass(frozen=True, slots=True)
class Episode:
    """Which episode to run: the arguments of a reset."""

    index: int
    """Counts the episodes of a run from 0, all modes together."""
    seed: int
    """Seeds the scene, the person and the policy's noise of this episode."""
    mode: Mode


@dataclass(frozen=True, slots=True)
class TeleopCommand:
    """What the person wants at one tick. With `active` False the policy is in control."""

    stamp: int
    active: bool
    twist: np.ndarray
    """(6,) wanted velocity of the TCP target, base frame: linear [m/s], angular [rad/s]."""
    gripper: int = 0
    """-1 close, +1 open, 0 leave as it is."""
    outcome: str = ""
    """"success" or "failure" when the person ends the episode, else ""."""
    label: int = -1
    """The stage of the task that she says is reached, by the key that she holds down: 0 none, 1 the first
    (success, where there is only one), ...; -1 when she labels nothing."""
    who: str = ""
    """The device in her hand, such as "console" or "spacemouse"; "script" for a scripted person, "" when
    nobody acts."""
    lost: bool = False
    """That device is gone, or says what cannot be: the arm holds still until it is back."""


BUTTONS = (
    "take_over",
    "hand_back",
    "close",
    "open",
    "toggle",
    "success",
    "failure",
    "label",
    "not_reached",
    "dead_man",
    "e_stop",
)
"""What the buttons of a person's device can mean: who is in control, the gripper (closed, open, or the other
of the two), her verdict on the episode, the label of the frames while it is held down (reached, not reached),
the dead-man's switch, and the emergency stop."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a person's device says at one instant: a SpaceMouse, a gamepad, a keyboard, the console."""

    stamp: int
    """Steady time (`time.monotonic_ns`) at which the device was last heard of [ns]."""
    axes: np.ndarray
    """(6,) in [-1, 1]: x, y, z, rx, ry, rz. As her hand moves in front of her: x away from her, y to her
    left, z up, turns right-handed about them; in the axes `frame` where that is set."""
    buttons: frozenset[str] = frozenset()
    """Those of `BUTTONS` that are held down."""
    frame: str = ""
    """"base" when the axes are those of the robot's base whatever the device is set up for, else ""."""


class Step(NamedTuple):
    """The outcome of one control period. There is no info bag: all that matters has a name.

    `terminated` is the end of the task (bootstrapping stops); `truncated` is the end of the recording,
    such as a time limit (bootstrapping goes on).
    """

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    action: np.ndarray
    """(a,) float32, the action that was executed, in the policy's frame; the person's when she intervened."""
    source: Source
    penalty: float
    """Cost of the action [reward], such as switching the gripper; not part of `reward`."""
    success: bool
    """The task's goal was reached, judged by what the robot itself can sense."""
    stamp: int


class Key(NamedTuple):
    """Identity of a transition, unique over restarts: (actor, run, sequence number)."""

    actor: str
    run: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Transition:
    """One step as the learner sees it."""

    key: Key
    episode: int
    step: int
    """Counts the steps of the episode from 0."""
    observation: Observation
    action: np.ndarray
    """(a,) float32, executed."""
    proposal: np.ndarray
    """(a,) float32, what the policy wanted; equal to `action` unless somebody intervened."""
    reward: float
    penalty: float
    terminated: bool
    truncated: bool
    next_observation: Observation
    source: Source
    policy_version: int
    stamp: int


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """What a finished episode amounts to."""

    episode: Episode
    steps: int
    success: bool
    """Judged by ground truth where there is one, else as `Step.success`."""
    reward: float
    """Sum of rewards."""
    interventions: int
    """How often the person took over."""
    human_steps: int
    policy_version: int
    fault: str = ""
    """Reason of the fault that ended the episode, "" when none did."""
    peak_force: float = 0.0
    """Largest external force on the TCP, at any tick of the controller [N]."""
    claimed: bool = False
    """The task itself, by what the robot senses, took the episode for a success."""
