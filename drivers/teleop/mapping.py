"""From the deflection of a device to a twist of the TCP's target, and back.

Each axis a in [-1, 1] becomes a share of the full speed,

    s = sign(a) * (max(|a| - d, 0) / (1 - d)) ** e

with the dead zone d and the exponent e: nothing inside the dead zone, no step at its edge, fine near rest.
"""

from __future__ import annotations

import numpy as np

from drivers.teleop.settings import TeleopConfig
from robot_rl.core.frames import matrix_from_quaternion, yaw_quaternion
from robot_rl.core.types import ArmState, DeviceState


def deflection(axes: np.ndarray) -> float:
    """Largest deflection of any axis [0..1]."""
    return float(np.abs(axes).max())


def shape(config: TeleopConfig, axes: np.ndarray) -> np.ndarray:
    """(6,) share of the full speed in [-1, 1] for axes in [-1, 1]."""
    above = np.maximum(np.abs(axes) - config.dead_zone, 0.0) / (1.0 - config.dead_zone)
    return np.sign(axes) * above**config.exponent


def unshape(config: TeleopConfig, share: np.ndarray) -> np.ndarray:
    """Inverse of `shape`; a share of 0 is an axis at 0."""
    axes = config.dead_zone + (1.0 - config.dead_zone) * np.abs(share) ** (1.0 / config.exponent)
    return np.sign(share) * axes


def full_speed(config: TeleopConfig) -> np.ndarray:
    """(6,) speed at full deflection: [m/s] thrice, [rad/s] thrice."""
    return np.repeat([config.linear_speed, config.angular_speed], 3)


def device_axes(config: TeleopConfig, frame: str, state: ArmState) -> np.ndarray:
    """(3, 3) rotation matrix that maps what the hand does to the base frame.

    Args:
        config: Names the frame of the device.
        frame: `DeviceState.frame`, which outranks it where it is set.
        state: Of the arm. The tool's axes are those of the commanded orientation, as the policy's are
            (`robot_rl.env.relative_frame`): its z points along the fingers.
    """
    frame = frame or config.frame
    if frame == "tool":
        return matrix_from_quaternion(state.target.quaternion)
    if frame == "view":
        return matrix_from_quaternion(yaw_quaternion(config.view_yaw))
    return np.eye(3)


def twist_from_device(config: TeleopConfig, device: DeviceState, state: ArmState) -> np.ndarray:
    """(6,) wanted velocity of the TCP's target, base frame: linear [m/s], angular [rad/s]."""
    axes = device_axes(config, device.frame, state)
    twist = shape(config, device.axes) * full_speed(config)
    return np.concatenate([axes @ twist[:3], axes @ twist[3:]])


def axes_for_twist(config: TeleopConfig, twist: np.ndarray) -> np.ndarray:
    """(6,) axes in the frame "base" that `twist_from_device` turns into this twist, up to the full speed.

    For what knows the velocity that it wants, such as a handle on the console.
    """
    return unshape(config, np.clip(twist / full_speed(config), -1.0, 1.0))
