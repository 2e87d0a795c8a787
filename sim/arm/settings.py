"""Settings of the simulated arm; needs no simulator to be imported."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from robot_rl.control.impedance import ImpedanceGains
from robot_rl.control.safety import SafetyLimits


@dataclass(frozen=True, slots=True)
class PhysicsConfig:
    """Integration and contact. The defaults hold a 50 g cube for 10 s of hard shaking."""

    timestep: float = 0.001
    """Physics step [s]."""
    law_steps: int = 2
    """Physics steps in one tick of the control law: 2 is 500 Hz."""
    friction: float = 1.0
    """Coulomb friction of pads, cube and table."""
    contact_time: float = 0.005
    """Time constant of a contact [s]."""
    finger_force: float = 40.0
    """Largest force of a finger [N]."""
    wrench_filter_time: float = 0.02
    """Time constant of the estimate of the external wrench [s]; 0 for none."""

    def __post_init__(self) -> None:
        if not (self.timestep > 0.0 and self.law_steps >= 1):
            raise ValueError(
                f"timestep must be more than 0 s and law_steps 1 or more, got {self.timestep}, "
                f"{self.law_steps}"
            )


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """What stands on the table, and where an episode starts."""

    kind: Literal["cube", "goal", "peg", "empty"] = "cube"
    """A cube to be moved, a free goal pose in the air (drawn, not solid), a peg in the hand and a board with
    a hole, or nothing."""
    cube_side: float = 0.04
    """[m]."""
    cube_mass: float = 0.05
    """[kg]."""
    peg_side: float = 0.02
    """Side of the square peg, which is fixed between the fingers [m]; for the kind "peg"."""
    peg_length: float = 0.05
    """How far the peg reaches below the TCP [m]; the fingers reach 9 mm."""
    clearance: float = 0.001
    """Side of the square hole less that of the peg [m]."""
    board_size: tuple[float, float, float] = (0.10, 0.10, 0.03)
    """Sides and height of the board; the hole goes through to the table [m]."""
    peg_friction: float = 0.3
    """Coulomb friction between the board and what touches it."""
    area_centre: tuple[float, float] = (0.5, 0.0)
    """Middle of the rectangle for the object, x and y in the base frame [m]."""
    area_size: tuple[float, float] = (0.30, 0.50)
    """Sides of that rectangle [m]."""
    object_yaw: float = math.pi
    """The object's yaw is uniform between minus this and this [rad]."""
    goal_height: tuple[float, float] = (0.08, 0.30)
    """Lowest and highest goal above the table [m]; for the kind "goal"."""
    start_centre: tuple[float, float, float] = (0.5, 0.0, 0.22)
    """Middle of the box for the TCP at the start, base frame [m]; also the home position."""
    start_size: tuple[float, float, float] = (0.16, 0.24, 0.08)
    """Sides of that box [m]; zeros start at home."""
    start_yaw: float = 0.5
    """The tool's yaw at the start is uniform between minus this and this [rad]."""

    def __post_init__(self) -> None:
        if not (self.cube_side > 0.0 and self.cube_mass > 0.0):
            raise ValueError(
                f"cube_side and cube_mass must be more than 0, got {self.cube_side}, {self.cube_mass}"
            )
        if not (self.peg_side > 0.0 and self.peg_length > 0.0 and self.clearance > 0.0):
            raise ValueError(
                "peg_side, peg_length and clearance must be more than 0 m, got "
                f"{self.peg_side}, {self.peg_length}, {self.clearance}"
            )
        if not (self.hole_side < min(self.board_size[:2]) and self.board_size[2] > 0.0):
            raise ValueError(f"board_size must hold a hole of {self.hole_side} m, got {self.board_size}")
        if min(*self.area_size, *self.start_size, self.object_yaw, self.start_yaw) < 0.0:
            raise ValueError("area_size, start_size, object_yaw and start_yaw must be 0 or more")

    @property
    def hole_side(self) -> float:
        """Side of the square hole in the board [m]."""
        return self.peg_side + self.clearance


def peg_scene() -> SceneConfig:
    """Peg insertion: the hole anywhere in 0.1 x 0.1 m, turned by up to 15 degrees, the peg 25-65 mm above."""
    return SceneConfig(
        kind="peg",
        area_size=(0.10, 0.10),
        object_yaw=math.radians(15.0),
        start_centre=(0.5, 0.0, 0.125),
        start_size=(0.10, 0.10, 0.04),
        start_yaw=math.radians(15.0),
    )


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """A marker tracker: how often, how late and how exactly it measures the objects."""

    rate: float = 60.0
    """Measurements a second [Hz]."""
    latency: float = 0.02
    """From the instant of a measurement to its delivery [s]."""
    position_noise: float = 0.0005
    """Standard deviation on each axis [m]."""
    rotation_noise: float = math.radians(0.3)
    """Standard deviation about each axis [rad]."""

    def __post_init__(self) -> None:
        if not (self.rate > 0.0 and self.latency >= 0.0):
            raise ValueError(
                f"rate must be more than 0 Hz and latency 0 s or more, got {self.rate}, {self.latency}"
            )


@dataclass(frozen=True, slots=True)
class ArmSimConfig:
    """The whole simulated arm."""

    control_period: float = 0.1
    """Duration of one `step` [s]."""
    reset_motion: Literal["teleport", "trajectory"] = "teleport"
    """How the arm comes to the start of an episode: at once, or as a real one has to."""
    reset_speed: float = 0.25
    """Largest TCP speed of a reset by trajectory [m/s]."""
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)
    """Integration and contact."""
    gains: ImpedanceGains = field(default_factory=ImpedanceGains)
    """Impedance law."""
    limits: SafetyLimits = field(default_factory=SafetyLimits)
    """Safety limits, in force for every command."""
    scene: SceneConfig = field(default_factory=SceneConfig)
    """Objects and start."""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    """Marker tracker."""

    def __post_init__(self) -> None:
        tick = self.physics.timestep * self.physics.law_steps
        ticks = self.control_period / tick
        if ticks < 1.0 or abs(ticks - round(ticks)) > 1e-6:
            raise ValueError(
                f"control_period must be a multiple of the law's tick of {tick} s, got {self.control_period}"
            )
        if self.limits.command_timeout < self.control_period:
            raise ValueError(
                f"with a control_period of {self.control_period} s the arm would hold between two commands: "
                f"limits.command_timeout must be longer than {self.limits.command_timeout} s"
            )


def peg_arm() -> ArmSimConfig:
    """The arm for peg insertion, which gives way: the peg is pressed and pushed aside with at most 15 N.

    That is stiffness times clip. The first touch adds what stops the arm: 28 N at 0.05 m/s and 36 N at
    0.1 m/s, the highest speed that is allowed here, in the estimated wrench of its 20 ms filter.
    """
    clip = (0.0075, 0.0075, 0.0075, 0.02, 0.02, 0.02)
    return ArmSimConfig(
        reset_speed=0.08,
        gains=ImpedanceGains(clip_negative=clip, clip_positive=clip),
        limits=SafetyLimits(
            # The tip reaches the table at 0.05 m; targets a little below press it down.
            workspace_min=(0.40, -0.10, 0.045),
            workspace_max=(0.60, 0.10, 0.20),
            tilt=0.1,
            yaw=0.6,
            linear_speed=0.1,
            angular_speed=1.0,
            force=60.0,
            torque=10.0,
        ),
        scene=peg_scene(),
    )
