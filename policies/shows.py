"""What the scripted person shows for a reward classifier: success, and failures that look like it.

A policy learns to please its classifier, so what it may be tempted to do instead of the task belongs into
the data: closing the hand on air and lifting it, pushing the object about, bringing the empty hand to where
success happens. Success is shown rising and sinking through its boundary, which tells how late the keys are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from policies.scripted_person import Intent, View
from policies.skills import PegSkill, PickSkill
from robot_rl.core.frames import swing_twist, tool_yaw
from robot_rl.core.types import ArmState

_SPOTS = 6
_ABOVE = (0.38, -0.22, 0.16), (0.62, 0.22, 0.26)
"""Corners of the box above the table in which success is held up [m]."""


def direction(rng: np.random.Generator) -> np.ndarray:
    """(2,) unit vector in the table's plane."""
    angle = float(rng.uniform(-math.pi, math.pi))
    return np.array([math.cos(angle), math.sin(angle)])


class PickShow:
    """Shows of picking up the object `cube`."""

    kinds: Sequence[str] = (
        "success",
        "closed on air",
        "success",
        "pushed",
        "success",
        "nothing in the hand",
        "success",
        "not high enough",
    )

    def __init__(self, skill: PickSkill) -> None:
        self.skill = skill
        self._kind = "success"
        self._away = np.zeros(2)
        self._spots = np.zeros((_SPOTS, 3))
        self._low = 0.0
        self._closed = False
        self._since: float | None = None

    def begin(self, kind: str, rng: np.random.Generator) -> None:
        self._kind = kind
        self._away = direction(rng)
        self._spots = rng.uniform(*_ABOVE, (_SPOTS, 3))
        self._low = float(rng.uniform(0.06, 0.13))
        self._closed = bool(rng.random() < 0.5)
        self._since = None

    def intend(self, seen: View, hand: ArmState, time: float) -> Intent:
        cube = seen.truth[self.skill.cube].position
        match self._kind:
            case "closed on air":
                return self._close_on_air(seen, hand, cube, time)
            case "pushed":
                return self._push(hand, cube, time)
            case "nothing in the hand":
                # First where success happens, above the cube, then all about.
                spot = np.array([*cube[:2], 0.18]) if time < 3.0 else self._wander(time - 3.0)
                return _go("goal", spot, hand, -1 if self._closed else 1)
            case kind:
                return self._lift(seen, hand, time, enough=kind == "success")

    def _lift(self, seen: View, hand: ArmState, time: float, enough: bool) -> Intent:
        if not self.skill.grasped(seen):
            self._since = None
            return self.skill.intend(seen, hand)
        if self._since is None:
            self._since = time
        held = time - self._since
        spot = np.array([*hand.target.position[:2], self.skill.lift + 0.03])
        if held > 1.2:
            spot = self._wander(held - 1.2)
        if not enough or 2.6 < held < 3.6:
            spot[2] = self._low
        return _go("lift", spot, hand, -1)

    def _close_on_air(self, seen: View, hand: ArmState, cube: np.ndarray, time: float) -> Intent:
        if self._since is None:
            spot = np.array([*(cube[:2] + 0.07 * self._away), 0.03])
            if np.linalg.norm(spot - seen.state.tcp.position) < 0.02:
                self._since = time
            return _go("approach", spot, hand, 1)
        if time - self._since < 0.6:
            return Intent("close", np.zeros(3), 0.0, -1)
        return _go("lift", self._wander(time - self._since), hand, -1)

    def _push(self, hand: ArmState, cube: np.ndarray, time: float) -> Intent:
        if time < 3.0:
            return _go("approach", np.array([*(cube[:2] - 0.07 * self._away), 0.03]), hand, -1)
        if time < 6.5:
            way = np.array([*(0.03 * self._away), 0.03 - hand.target.position[2]])
            return Intent("push", way, 0.0, -1)
        return _go("lift", self._wander(time - 6.5), hand, -1)

    def _wander(self, time: float) -> np.ndarray:
        """(3,) where to be: about the table, so that the data hold success and failure everywhere."""
        return self._spots[int(time / 1.3) % _SPOTS].copy()


class PegShow:
    """Shows of inserting the peg into the object `hole`."""

    kinds: Sequence[str] = (
        "success",
        "pressed beside the hole",
        "success",
        "hovering",
        "success",
        "not deep enough",
        "success",
        "beside the board",
    )

    def __init__(self, skill: PegSkill) -> None:
        self.skill = skill
        self._kind = "success"
        self._away = np.zeros(2)
        self._aside = 0.0
        self._shallow = 0.0
        self._since: float | None = None

    def begin(self, kind: str, rng: np.random.Generator) -> None:
        self._kind = kind
        self._away = direction(rng)
        self._aside = float(rng.uniform(0.003, 0.03))
        self._shallow = float(rng.uniform(0.005, 0.017))
        self._since = None

    def intend(self, seen: View, hand: ArmState, time: float) -> Intent:
        hole = seen.truth[self.skill.hole]
        mouth = hole.position + np.array([0.0, 0.0, self.skill.peg_length])  # of the TCP, tip at the mouth
        turn = swing_twist(hole.quaternion)[1] - tool_yaw(hand.target.quaternion)
        sway = np.array([*(self._away * math.sin(1.5 * time)), 0.0])
        match self._kind:
            case "pressed beside the hole":
                spot = mouth + np.array([*(self._aside * self._away), 0.03 if time < 2.0 else -0.008])
                return Intent("press", spot - hand.target.position, turn, 0)
            case "hovering":
                height = 0.012 + 0.01 * math.sin(1.2 * time)
                spot = mouth + 0.004 * sway + np.array([0.0, 0.0, height])
                return Intent("hover", spot - hand.target.position, turn, 0)
            case "beside the board":
                low = 0.03 if time < 3.5 else -self.skill.depth
                spot = mouth + np.array([*(0.085 * self._away), low])
                return Intent("beside", spot - hand.target.position, turn, 0)
            case kind:
                return self._insert(seen, hand, time, deep=kind == "success")

    def _insert(self, seen: View, hand: ArmState, time: float, deep: bool) -> Intent:
        depth = self.skill.depth_of(seen.truth[self.skill.hole], hand)
        if depth < (0.8 * self.skill.depth if deep else 0.004) and self._since is None:
            return self.skill.intend(seen, hand)
        if self._since is None:
            self._since = time
        held = time - self._since
        wanted = self._shallow if not deep or 1.2 < held < 2.6 else self.skill.depth
        # Along the hole alone: the walls keep the peg where it is.
        way = np.array([0.0, 0.0, depth - wanted])
        return Intent("hold", way, 0.0, 0)


def _go(stage: str, spot: np.ndarray, hand: ArmState, gripper: int) -> Intent:
    """Bring the target to a spot, high up first where it is far away."""
    way = spot - hand.target.position
    if math.hypot(float(way[0]), float(way[1])) > 0.05 and spot[2] < 0.1:
        way[2] = max(float(way[2]), 0.1 - float(hand.target.position[2]))
    return Intent(stage, way, -tool_yaw(hand.target.quaternion), gripper)
