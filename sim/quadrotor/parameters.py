"""What a quadrotor is, as numbers: named, versioned sets of parameters, and files with one's own.

Axes: x forwards, y to the left, z up (FLU), origin in the centre of mass. Rotors are numbered as on the
Crazyflie: front right, back right, back left, front left. A rotor's speed is given as its part of the highest
speed, s in [0, 1], and its thrust as a polynomial of that, f(s) = c0 + c1 s + c2 s^2.

Imports no JAX: the firmware's exporter and the drivers need these numbers too.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from robot_rl.core.config import dump_yaml, load_yaml
from robot_rl.core.errors import ConfigError, nearest


@dataclass(frozen=True)
class QuadrotorParameters:
    """A quadrotor with four rotors in one plane."""

    name: str
    """What it is called, with its version: "l2f-paper"."""
    mass: float
    """[kg]."""
    inertia: tuple[float, float, float]
    """Principal moments of inertia about x, y, z [kg m^2]."""
    rotor_x: tuple[float, float, float, float]
    """Rotors' places along x [m]."""
    rotor_y: tuple[float, float, float, float]
    """Rotors' places along y [m]."""
    spin: tuple[float, float, float, float] = (-1.0, 1.0, -1.0, 1.0)
    """Sign of each rotor's drag torque about z."""
    thrust: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """c0, c1, c2 of one rotor's thrust [N]."""
    torque_per_thrust: float = 0.0
    """A rotor's drag torque over its thrust [m]."""
    spin_up_time: float = 0.0
    """Time constant of the first-order lag of a rotor that accelerates [s]."""
    spin_down_time: float = 0.0
    """Time constant of one that slows down [s]."""
    max_rpm: float = 0.0
    """Speed of a rotor at s = 1 [rpm]."""
    gravity: float = 9.81
    """[m/s^2]."""

    def __post_init__(self) -> None:
        for name in ("mass", "torque_per_thrust", "spin_up_time", "spin_down_time", "max_rpm", "gravity"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise ConfigError(f"{self.name}: {name} must be more than 0, not {value}")
        a, b, c = sorted(self.inertia)
        if not 0.0 < a <= c < math.inf or a + b < c * (1.0 - 1e-9):
            raise ConfigError(
                f"{self.name}: inertia {self.inertia} is of no body: each moment must be more than 0 and at "
                "most the sum of the two others"
            )
        for name in ("rotor_x", "rotor_y", "thrust"):
            if not all(map(math.isfinite, getattr(self, name))):
                raise ConfigError(f"{self.name}: {name} must be finite, not {getattr(self, name)}")
        if any(sign not in (-1.0, 1.0) for sign in self.spin) or sum(self.spin) != 0.0:
            raise ConfigError(f"{self.name}: spin must be two times -1 and two times 1, not {self.spin}")
        if self.thrust_to_weight <= 1.0:
            raise ConfigError(
                f"{self.name}: it cannot fly: the rotors lift {4 * sum(self.thrust):.4g} N of "
                f"{self.mass * self.gravity:.4g} N"
            )
        c0, c1, c2 = self.thrust
        if 4.0 * c0 >= self.mass * self.gravity or c1 + 2.0 * c2 <= 0.0:
            raise ConfigError(
                f"{self.name}: thrust {self.thrust} is of no rotor: standing still it must lift less than a "
                f"quarter of the weight, {self.mass * self.gravity / 4:.4g} N, and at full speed it must rise"
            )

    @property
    def thrust_to_weight(self) -> float:
        """Thrust of all rotors at full speed over weight."""
        return 4.0 * sum(self.thrust) / (self.mass * self.gravity)

    def check_step(self, step: float, shrunk: float = 1.0) -> None:
        """Refuse a time step that is too long for the rotors.

        The classic Runge-Kutta method diverges where a step exceeds 2.79 time constants; two are allowed.

        Args:
            step: Time step [s].
            shrunk: Factor by which the rotors' time constants may be divided.

        Raises:
            ConfigError: It is longer than that.
        """
        shortest, needed = min(self.spin_up_time, self.spin_down_time), 0.5 * step * shrunk
        if shortest < needed * (1.0 - 1e-6):
            raise ConfigError(
                f"{self.name}: spin_up_time and spin_down_time must be at least {needed:.3g} s to be "
                f"simulated in steps of {step:g} s, not {shortest:g} s"
            )

    @property
    def hover_speed(self) -> float:
        """Part of the highest speed at which the rotors carry the weight."""
        c0, c1, c2 = self.thrust
        lack = c0 - self.mass * self.gravity / 4.0
        if c2 == 0.0:
            return -lack / c1
        return (-c1 + math.sqrt(c1 * c1 - 4.0 * c2 * lack)) / (2.0 * c2)

    @property
    def hover_action(self) -> float:
        """The action in [-1, 1] that hovers: the speed that is asked for is (a + 1) / 2."""
        return 2.0 * self.hover_speed - 1.0


_FRONT_AND_BACK = (1.0, -1.0, -1.0, 1.0)
_LEFT_AND_RIGHT = (-1.0, -1.0, 1.0, 1.0)


def _scaled(signs: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    a, b, c, d = signs
    return a * by, b * by, c * by, d * by


_L2F_RPM = 21702.0
_CF2X_ARM = 0.0397 / math.sqrt(2.0)
_CF2X_LIFT = 2.25 * 0.027 * 9.8 / 4.0
_RACE_ARM = 0.109 / math.sqrt(2.0)
_RACE_LIFT = 4.17 * 0.83 * 9.8 / 4.0

L2F_PAPER = QuadrotorParameters(
    name="l2f-paper",
    mass=0.027,
    inertia=(3.85e-6, 3.85e-6, 5.9675e-6),
    rotor_x=_scaled(_FRONT_AND_BACK, 0.028),
    rotor_y=_scaled(_LEFT_AND_RIGHT, 0.028),
    thrust=(0.0, 0.0, 3.16e-10 * _L2F_RPM**2),
    torque_per_thrust=0.005964552,
    spin_up_time=0.15,
    spin_down_time=0.15,
    max_rpm=_L2F_RPM,
)
"""The Crazyflie of Eschmann, Albani and Loianno, "Learning to Fly in Seconds" (RA-L 2024)."""

L2F_2 = QuadrotorParameters(
    name="l2f-2",
    mass=0.0306,
    inertia=(9.416556729130406e-6, 9.644051701582312e-6, 1.745951732253285e-5),
    rotor_x=_scaled(_FRONT_AND_BACK, 0.028),
    rotor_y=_scaled(_LEFT_AND_RIGHT, 0.028),
    thrust=(0.00352526, 0.01437313, 0.09223048),
    torque_per_thrust=4.665e-3,
    spin_up_time=0.05545454545454546,
    spin_down_time=0.24939393939393945,
    max_rpm=_L2F_RPM,
)
"""The Crazyflie with decks of the same authors' later simulator, identified anew: release 2.0.18 of l2f.

The release also quotes a hover throttle of 0.726. Its own thrust curve and mass (27 g and 3.6 g of decks)
give 0.806, and 1.47 times the weight at full speed; an earlier curve, 0.1302 s^2 N, gives 0.726 for 28 g.
"""

GPD_CF2X = QuadrotorParameters(
    name="gpd-cf2x",
    mass=0.027,
    inertia=(1.4e-5, 1.4e-5, 2.17e-5),
    rotor_x=_scaled(_FRONT_AND_BACK, _CF2X_ARM),
    rotor_y=_scaled(_LEFT_AND_RIGHT, _CF2X_ARM),
    thrust=(0.0, 0.0, _CF2X_LIFT),
    torque_per_thrust=7.94e-12 / 3.16e-10,
    spin_up_time=0.01,
    spin_down_time=0.01,
    max_rpm=math.sqrt(_CF2X_LIFT / 3.16e-10),
    gravity=9.8,
)
"""The CF2X of gym-pybullet-drones (Panerati et al., IROS 2021), whose rotors have no lag: here 10 ms."""

GPD_RACE = QuadrotorParameters(
    name="gpd-race",
    mass=0.83,
    inertia=(0.003113, 0.003113, 0.003113),
    rotor_x=_scaled(_FRONT_AND_BACK, _RACE_ARM),
    rotor_y=_scaled(_LEFT_AND_RIGHT, _RACE_ARM),
    thrust=(0.0, 0.0, _RACE_LIFT),
    torque_per_thrust=2.13e-11 / 8.47e-9,
    spin_up_time=0.03,
    spin_down_time=0.03,
    max_rpm=math.sqrt(_RACE_LIFT / 8.47e-9),
    gravity=9.8,
)
"""The racing quadrotor of gym-pybullet-drones; its rotors' lag of 30 ms is an assumption."""

SETS = {p.name: p for p in (L2F_PAPER, L2F_2, GPD_CF2X, GPD_RACE)}
"""Name to parameters."""


def load_parameters(name: str) -> QuadrotorParameters:
    """The set with this name, or the one in the YAML file at this path.

    Raises:
        ConfigError: There is neither, or the file holds what no quadrotor is.
    """
    if name in SETS:
        return SETS[name]
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"quadrotor {name!r}: {nearest(name, SETS)}; or the path of a YAML file")
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    return load_yaml(QuadrotorParameters, path)


def save_parameters(parameters: QuadrotorParameters, path: Path) -> None:
    """Write a set to a YAML file."""
    dump_yaml(parameters, path)


def renamed(parameters: QuadrotorParameters, name: str) -> QuadrotorParameters:
    """The same quadrotor under another name."""
    return dataclasses.replace(parameters, name=name)
