"""Where an episode starts: arm and objects, drawn from the episode's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.core.frames import DOWN_QUATERNION, multiply, yaw_quaternion
from robot_rl.core.types import Pose
from sim.arm.settings import SceneConfig

_STREAM = 1
"""Keeps the scene's random numbers apart from others that come from the same seed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The start of an episode."""

    tcp: Pose
    """Where the arm starts, tool down, base frame."""
    objects: Mapping[str, Pose]
    """Where the objects are: "cube", "goal" or "hole" (the centre of its mouth, z up)."""


def tool_down(position: np.ndarray, yaw: float) -> Pose:
    """A tool that points down, turned by `yaw` [rad] about the vertical."""
    return Pose(np.asarray(position, dtype=float), multiply(yaw_quaternion(yaw), DOWN_QUATERNION))


def home(config: SceneConfig) -> Pose:
    """The middle of the start box, yaw 0."""
    return tool_down(np.array(config.start_centre), 0.0)


def draw_scene(config: SceneConfig, seed: int) -> Scene:
    """The scene of the episode with this seed; equal seeds give equal bits."""
    rng = np.random.default_rng((seed, _STREAM))
    start = np.array(config.start_centre) + rng.uniform(-0.5, 0.5, 3) * config.start_size
    tcp = tool_down(start, float(rng.uniform(-config.start_yaw, config.start_yaw)))
    xy = np.array(config.area_centre) + rng.uniform(-0.5, 0.5, 2) * config.area_size
    yaw = float(rng.uniform(-config.object_yaw, config.object_yaw))
    if config.kind == "cube":
        pose = Pose(np.array([*xy, config.cube_side / 2]), yaw_quaternion(yaw))
        return Scene(tcp, {"cube": pose})
    if config.kind == "goal":
        return Scene(tcp, {"goal": tool_down(np.array([*xy, rng.uniform(*config.goal_height)]), yaw)})
    if config.kind == "peg":
        return Scene(tcp, {"hole": Pose(np.array([*xy, config.board_size[2]]), yaw_quaternion(yaw))})
    return Scene(tcp, {})
