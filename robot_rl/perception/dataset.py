"""Pictures to pretrain encoders on: own renders of scenes as both tasks meet them, with randomised looks.

No physics runs: postures come from inverse kinematics, and objects are put where an episode could have them:
far away, near the hand, in the hand, in the hole. Equal seeds give equal pictures on one machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_rl.core.frames import (
    DOWN_QUATERNION,
    multiply,
    quaternion_from_rotation_vector,
    rotate,
    tool_yaw,
    yaw_quaternion,
)
from robot_rl.core.types import ArmState, Pose
from robot_rl.perception.pose_labels import LABELS, side_label, wrist_label
from sim.arm.cameras import CAMERA_NAMES, TableCameras
from sim.arm.kinematics import forward, inverse
from sim.arm.looks import draw_look
from sim.arm.model import MAX_WIDTH
from sim.arm.settings import ArmSimConfig, SceneConfig, peg_scene

SEEN_PIXELS = 8
"""An object is seen when so many pixels would change without it."""
_AWAY = Pose(np.array([0.0, 0.0, -9.0]), yaw_quaternion(0.0))
_LOW, _HIGH = np.array([0.32, -0.31, 0.018]), np.array([0.69, 0.31, 0.36])
"""Corners of the box for the TCP, a little larger than that of the safety limits [m]."""


@dataclass(frozen=True)
class DatasetConfig:
    """What is drawn."""

    peg_share: float = 0.5
    """Share of pictures with peg and board; the others have the cube."""
    default_share: float = 0.25
    """Share of pictures with the default look; the others have a strength of u^2, u uniform in [0, 1]."""
    distractor_share: float = 0.5
    """Share of pictures with one or two distractors."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of all cameras with their labels; first axis counts them."""

    images: dict[str, np.ndarray]
    """Camera to (n, 128, 128, 3) uint8."""
    labels: dict[str, np.ndarray]
    """Camera to (n, l) float32, see `robot_rl.perception.pose_labels`."""


class Studio:
    """Draws pictures of the cube's and of the peg's scene. Use it in one thread."""

    def __init__(self) -> None:
        self.scenes = (SceneConfig(), peg_scene())
        self._cameras = [TableCameras(ArmSimConfig(scene=scene)) for scene in self.scenes]

    def close(self) -> None:
        """Free what the graphics driver holds."""
        for cameras in self._cameras:
            cameras.close()

    def draw(
        self,
        count: int,
        seed: int,
        config: DatasetConfig,
        strength: float | None = None,
        distractors: int = 0,
    ) -> Pictures:
        """Draw `count` pictures of each camera.

        Args:
            count: Of each camera.
            seed: Equal seeds give equal pictures.
            config: Shares.
            strength: Of the look, for tests; None draws it, and the number of distractors, after `config`.
            distractors: Things that stand around, for tests.
        """
        rng = np.random.default_rng(seed)
        images = {name: np.empty((count, 128, 128, 3), np.uint8) for name in CAMERA_NAMES}
        labels = {name: np.empty((count, len(LABELS[name])), np.float32) for name in CAMERA_NAMES}
        for i in range(count):
            peg = int(rng.random() < config.peg_share)
            scene, cameras = self.scenes[peg], self._cameras[peg]
            state, objects = draw_peg(rng, scene) if peg else draw_cube(rng, scene)
            how, things = strength, distractors
            if how is None:
                how = 0.0 if rng.random() < config.default_share else float(rng.random()) ** 2
                things = int(rng.integers(1, 3)) if rng.random() < config.distractor_share else 0
            cameras.set_look(draw_look(int(rng.integers(2**31)), how, things, scene, objects))
            without = cameras.render(state, dict.fromkeys(objects, _AWAY))
            pictures = cameras.render(state, objects)
            for name, make in (("wrist", wrist_label), ("side", side_label)):
                seen = np.any(pictures[name] != without[name], axis=2).sum() >= SEEN_PIXELS
                images[name][i] = pictures[name]
                labels[name][i] = make(state.tcp, objects, bool(seen))
        return Pictures(images, labels)


def draw_cube(rng: np.random.Generator, scene: SceneConfig) -> tuple[ArmState, dict[str, Pose]]:
    """A cube anywhere (30 %), near the open or closing hand (45 %), or in the hand (25 %)."""
    kind, rest = rng.random(), scene.cube_side / 2
    area = (*(np.array(scene.area_size) + 0.04), 0.0)
    place = np.array([*scene.area_centre, rest]) + rng.uniform(-0.5, 0.5, 3) * area
    yaw = float(rng.uniform(-math.pi, math.pi))
    width = float(rng.choice([MAX_WIDTH, 0.0, rng.uniform(0.0, MAX_WIDTH)], p=[0.6, 0.15, 0.25]))
    if kind < 0.3:
        state = _posture(rng, rng.uniform(_LOW, _HIGH), float(rng.uniform(-1.0, 1.0)), width)
        return state, {"cube": Pose(place, yaw_quaternion(yaw))}
    turn = float(rng.uniform(-1.0, 1.0))
    if kind < 0.75:
        spread = 10.0 ** rng.uniform(-2.5, -1.1)
        height = rng.choice([rng.uniform(0.0, 0.03), rng.uniform(0.0, 0.2)]) + rest
        state = _posture(rng, np.array([*(place[:2] + spread * rng.standard_normal(2)), height]), turn, width)
        if rng.random() < 0.5:
            yaw = tool_yaw(state.tcp.quaternion) + float(0.1 * rng.standard_normal())
        return state, {"cube": Pose(place, yaw_quaternion(yaw))}
    low = np.array([*_LOW[:2], rest])
    held = rng.uniform(low, _HIGH) if rng.random() < 0.7 else np.array([*place[:2], rng.uniform(rest, 0.06)])
    state = _posture(rng, held, turn, scene.cube_side + 0.001 * float(rng.standard_normal()))
    offset = np.array([rng.uniform(-0.014, 0.014), 0.001 * rng.standard_normal(), rng.uniform(-0.008, 0.014)])
    spin = multiply(state.tcp.quaternion, yaw_quaternion(0.05 * float(rng.standard_normal())))
    position = state.tcp.position + rotate(state.tcp.quaternion, offset)
    position[2] = max(position[2], rest)
    return state, {"cube": Pose(position, multiply(spin, _small_turn(rng, 0.02)))}


def draw_peg(rng: np.random.Generator, scene: SceneConfig) -> tuple[ArmState, dict[str, Pose]]:
    """The peg above the board (45 %), near the mouth (25 %), on the board (15 %), or in the hole (15 %)."""
    kind, mouth = rng.random(), scene.board_size[2]
    area = (*(np.array(scene.area_size) + 0.04), 0.0)
    place = np.array([*scene.area_centre, mouth]) + rng.uniform(-0.5, 0.5, 3) * area
    yaw = float(rng.uniform(-1.2, 1.2)) * scene.object_yaw
    hole = Pose(place, yaw_quaternion(yaw))
    width = float(rng.choice([MAX_WIDTH, scene.peg_side, rng.uniform(scene.peg_side, MAX_WIDTH)]))
    turn = float(rng.uniform(-1.2, 1.2)) * scene.start_yaw
    if kind < 0.45:
        aside = rng.uniform(-0.08, 0.08, 2)
        height = float(rng.uniform(0.002, 0.11))
    elif kind < 0.7:
        aside = 10.0 ** rng.uniform(-3.0, -1.7) * rng.standard_normal(2)
        height = float(rng.uniform(0.0, 0.03))
        turn = yaw + 10.0 ** rng.uniform(-2.0, -0.7) * float(rng.standard_normal())
    elif kind < 0.85:
        aside = 10.0 ** rng.uniform(-3.0, -1.9) * rng.standard_normal(2)
        height = -float(rng.uniform(0.0, 0.0005))
        turn = yaw + 0.08 * float(rng.standard_normal())
    else:
        aside = rng.uniform(-0.5, 0.5, 2) * scene.clearance
        height = -float(rng.uniform(0.0, mouth))
        turn = yaw + 0.02 * float(rng.standard_normal())
    tcp = place + np.array([*aside, height + scene.peg_length])
    return _posture(rng, tcp, turn, width, 0.004), {"hole": hole}


def _posture(
    rng: np.random.Generator, position: np.ndarray, yaw: float, width: float, tilt: float = 0.01
) -> ArmState:
    """The arm with its TCP about at `position`, tool down but for a small tilt [rad]."""
    down = multiply(yaw_quaternion(yaw), DOWN_QUATERNION)
    goal = Pose(np.clip(position, _LOW, _HIGH), multiply(_small_turn(rng, tilt), down))
    q = inverse(goal)
    tcp, zeros = forward(q)[0], np.zeros(6)
    width = float(np.clip(width, 0.0, MAX_WIDTH))
    return ArmState(0, q, np.zeros(7), tcp, zeros, zeros, width, False, tcp)


def _small_turn(rng: np.random.Generator, deviation: float) -> np.ndarray:
    return quaternion_from_rotation_vector(deviation * rng.standard_normal(3))
