"""The interfaces that real, simulated and emulated parts share.

Each has a conformance suite in `tests/conformance/` to inherit from. A class satisfies a protocol by having
its methods; nobody has to import this module to implement one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from robot_rl.core.spec import EnvSpec, Observation
from robot_rl.core.types import (
    ArmCommand,
    ArmState,
    CameraFeatures,
    DeviceState,
    Episode,
    Intrinsics,
    Pose,
    Sight,
    StampedImage,
    StampedPose,
    Step,
    TeleopCommand,
)


@runtime_checkable
class Clock(Protocol):
    """A source of time that never goes back."""

    def now(self) -> int:
        """Nanoseconds."""
        ...

    def sleep_until(self, stamp: int) -> None:
        """Return at `stamp`, or at once when it is past."""
        ...


@runtime_checkable
class Robot(Protocol):
    """An arm with a gripper behind its controller and safety limits.

    Commands are limited and watched on the far side of this interface. A fault latches: `step` and `reset`
    raise `RobotFaultError` until it is cleared, and the arm holds.
    """

    def reset(self, episode: Episode) -> ArmState:
        """Bring arm and scene to the start of an episode and return the state there."""
        ...

    def step(self, command: ArmCommand) -> ArmState:
        """Execute one control period and return the state at its end."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Tracker(Protocol):
    """Measures poses of objects, as a marker tracker or a pose estimator does: late and with noise."""

    def read(self) -> Mapping[str, StampedPose]:
        """The newest measurement of each object."""
        ...


@runtime_checkable
class Camera(Protocol):
    """A stamped image source."""

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the images as `read` gives them, after cropping and resizing."""
        ...

    def read(self) -> StampedImage:
        """The newest picture; waits for one where the last was read already.

        Raises:
            CameraError: None came for the camera's timeout, or the device is gone.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class Encoder(Protocol):
    """Turns pictures into features, once each."""

    @property
    def cameras(self) -> tuple[str, ...]: ...

    @property
    def digest(self) -> str:
        """Changes with everything that changes the features."""
        ...

    def encode(self, images: Mapping[str, StampedImage]) -> Mapping[str, CameraFeatures]:
        """Features of the picture of each camera that `images` names."""
        ...


@runtime_checkable
class RewardModel(Protocol):
    """Judges from features whether the stages of a task are reached."""

    def __call__(self, features: Mapping[str, CameraFeatures]) -> tuple[float, ...]:
        """Probability that each stage is reached, the last one being success."""
        ...

    def end_episode(self, learn: bool) -> None:
        """The episode is over; with `learn` a model that goes on learning does so from its frames."""
        ...


@runtime_checkable
class Vision(Protocol):
    """Cameras, encoder and reward classifier as one sense: in this process, or behind topics."""

    def reset(self, episode: Episode) -> None:
        """Begin an episode; called after the robot was reset."""
        ...

    def look(self, state: ArmState) -> Sight:
        """What is seen at the tick of `state`."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Teleop(Protocol):
    """A person at a device, or a scripted one."""

    def reset(self, episode: Episode, state: ArmState) -> None: ...

    def read(self, state: ArmState) -> TeleopCommand:
        """What the person wants at the tick of `state`."""
        ...


@runtime_checkable
class InputDevice(Protocol):
    """What a person holds in her hand. `drivers.teleop` makes a `Teleop` of one or several."""

    @property
    def name(self) -> str:
        """Names it in logs and on the console, such as "spacemouse"."""
        ...

    def read(self) -> DeviceState:
        """The newest state; returns at once.

        Raises:
            DeviceError: The device is gone. Later calls look for it again, and succeed when it is back.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class GroundTruth(Protocol):
    """What only a simulator knows. It reaches the scripted person and the evaluation, nobody else."""

    def truth(self) -> Mapping[str, Pose]:
        """True poses of the objects now."""
        ...


@runtime_checkable
class Environment(Protocol):
    """A task on a robot. Interventions happen inside `step`: its result names the executed action."""

    @property
    def spec(self) -> EnvSpec: ...

    def reset(self, episode: Episode) -> Observation: ...

    def step(self, proposal: np.ndarray) -> Step:
        """Execute the proposal, or what the person does instead."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Policy(Protocol):
    """Maps an observation to an action. NumPy in, NumPy out."""

    @property
    def version(self) -> int: ...

    def __call__(self, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """(a,) float32 in [-1, 1]; the mean action when `rng` is None, else a sample."""
        ...


@runtime_checkable
class Plant(Protocol):
    """Rigid-body physics of one arm on its table, below the controller: torques in, joint state out.

    It compensates gravity by itself, as the real arm does: zero torque at rest stays at rest.
    """

    @property
    def timestep(self) -> float:
        """Physics step [s]."""
        ...

    def reset(self, q: np.ndarray, gripper_width: float, objects: Mapping[str, Pose]) -> None:
        """Start again at rest in the joint pose `q` (7,) [rad], as if nothing had happened before."""
        ...

    def place(self, objects: Mapping[str, Pose]) -> None:
        """Put objects at rest at these poses; the arm is left alone."""
        ...

    def read(self) -> PlantState:
        """The state now; one that was read before may change with the physics."""
        ...

    def apply(self, torque: np.ndarray, gripper_width: float) -> None:
        """Set arm torques (7,) [Nm] and the wanted gripper opening [m] for the steps that follow."""
        ...

    def advance(self, steps: int) -> None:
        """Integrate `steps` physics steps, at least one."""
        ...

    def objects(self) -> Mapping[str, Pose]:
        """True poses of the objects now, copies."""
        ...

    def close(self) -> None: ...


class PlantState(Protocol):
    """What a controller needs of an arm at one instant; arrays may be views that the next step changes."""

    @property
    def q(self) -> np.ndarray:
        """(7,) joint positions [rad]."""
        ...

    @property
    def dq(self) -> np.ndarray:
        """(7,) joint velocities [rad/s]."""
        ...

    @property
    def position(self) -> np.ndarray:
        """(3,) TCP in the base frame [m]."""
        ...

    @property
    def quaternion(self) -> np.ndarray:
        """(4,) xyzw, TCP to base."""
        ...

    @property
    def jacobian(self) -> np.ndarray:
        """(6, 7) of the TCP in the base frame: linear rows, then angular."""
        ...

    @property
    def coriolis(self) -> np.ndarray:
        """(7,) Coriolis and centrifugal torque [Nm], without gravity."""
        ...

    @property
    def wrench(self) -> np.ndarray:
        """(6,) external force [N] and torque [Nm] on the TCP, base frame."""
        ...

    @property
    def gripper_width(self) -> float:
        """Opening between the fingers [m]."""
        ...
