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
    Episode,
    Pose,
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

    def read(self) -> tuple[int, np.ndarray]:
        """Stamp [ns] of acquisition and (h, w, 3) uint8 RGB."""
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
class GroundTruth(Protocol):
    """What only a simulator knows. It reaches the scripted person and the evaluation, nobody else."""

    def truth(self) -> Mapping[str, Pose]:
        """True poses of the objects now."""
        ...


@runtime_checkable
class RewardModel(Protocol):
    """Turns what the robot senses into a sparse reward."""

    def reset(self) -> None: ...

    def __call__(self, state: ArmState, objects: Mapping[str, StampedPose]) -> tuple[float, bool]:
        """Reward of the step that ended in `state`, and whether the goal is reached."""
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
    """Rigid-body physics of one arm on its table, below the controller: torques in, joint state out."""

    @property
    def timestep(self) -> float:
        """Physics step [s]."""
        ...

    def reset(self, q: np.ndarray, objects: Mapping[str, Pose]) -> None: ...

    def read(self) -> PlantState: ...

    def apply(self, torque: np.ndarray, gripper_width: float) -> None:
        """Set arm torques [Nm] and the wanted gripper opening [m] for the steps that follow.

        The plant compensates gravity by itself, as the real arm does.
        """
        ...

    def advance(self, steps: int) -> None:
        """Integrate `steps` physics steps."""
        ...

    def objects(self) -> Mapping[str, Pose]: ...


class PlantState(Protocol):
    """What a controller needs of a plant at one instant; arrays may be views that the next step changes."""

    q: np.ndarray  # (7,) rad
    dq: np.ndarray  # (7,) rad/s
    position: np.ndarray  # (3,) TCP in base, m
    rotation: np.ndarray  # (3, 3) TCP to base
    jacobian: np.ndarray  # (6, 7) TCP, base frame: linear rows, then angular
    coriolis: np.ndarray  # (7,) Nm
