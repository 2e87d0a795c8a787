"""How the scripted person does the arm's tasks: pure functions of what she sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from policies.scripted_person import Intent, View
from robot_rl.core.frames import swing_twist, tool_yaw
from robot_rl.core.types import ArmState, Pose


@dataclass(frozen=True)
class ReachSkill:
    """Bring the TCP to the object `goal`."""

    goal: str = "goal"

    def intend(self, seen: View, hand: ArmState) -> Intent:
        way = seen.truth[self.goal].position - hand.target.position
        return Intent("reach", way, -tool_yaw(hand.target.quaternion), 0)

    def progress(self, view: View) -> float:
        return -float(np.linalg.norm(view.truth[self.goal].position - view.state.tcp.position))


@dataclass(frozen=True)
class PickSkill:
    """Go above the cube, align, descend, close, lift; open and go back up when the grasp failed."""

    cube: str = "cube"
    hover: float = 0.07
    """Height above the cube at which the hand aligns [m]."""
    lift: float = 0.16
    """Height to which the cube is lifted [m]."""
    near: float = 0.012
    """Distance at which a stage counts as done [m]."""
    yaw_near: float = 0.15
    """Misalignment that is good enough to close [rad]."""
    held_width: tuple[float, float] = (0.03, 0.05)
    """A closed gripper this wide holds the cube [m]."""
    max_yaw: float = 1.0
    """The hand is not turned further than this from straight ahead [rad]."""

    def intend(self, seen: View, hand: ArmState) -> Intent:
        cube = seen.truth[self.cube]
        way = cube.position - hand.target.position
        if hand.gripper_closed:
            if self.grasped(seen):
                return Intent("lift", np.array([0.0, 0.0, self.lift - cube.position[2]]), 0.0, -1)
            if float(np.linalg.norm(cube.position - seen.state.tcp.position)) < 2 * self.near:
                return Intent("close", way, 0.0, -1)  # the fingers are still on their way
            return Intent("reopen", np.array([0.0, 0.0, self.hover / 2]), 0.0, 1)
        turn = self._turn(swing_twist(cube.quaternion)[1], tool_yaw(hand.target.quaternion))
        aside = math.hypot(float(way[0]), float(way[1]))
        low = way[2] > -0.7 * self.hover
        aligned = aside < (1.5 if low else 1.0) * self.near and abs(turn) < self.yaw_near
        if aligned and abs(way[2]) < self.near:
            return Intent("close", way, turn, -1)
        if aligned:
            return Intent("descend", way, turn, 1)
        above = way + np.array([0.0, 0.0, self.hover])
        if aside > 0.04 and above[2] > 0.02:
            return Intent("rise", np.array([0.0, 0.0, above[2]]), turn, 1)  # clear the cube first
        return Intent("approach", above, turn, 1)

    def _turn(self, cube_yaw: float, hand_yaw: float) -> float:
        """The shorter way to a face of the cube that the wrist can reach [rad]."""
        turn = quarter_turn(cube_yaw - hand_yaw)
        if abs(hand_yaw + turn) > self.max_yaw:
            turn -= math.copysign(math.pi / 2, hand_yaw + turn)
        return turn

    def grasped(self, view: View) -> bool:
        """Whether the closed gripper holds the cube."""
        state = view.state
        apart = float(np.linalg.norm(view.truth[self.cube].position - state.tcp.position))
        between = self.held_width[0] < state.gripper_width < self.held_width[1]
        return state.gripper_closed and between and apart < 0.03

    def progress(self, view: View) -> float:
        cube = view.truth[self.cube].position
        if self.grasped(view):
            return 1.0 + float(cube[2])
        return -float(np.linalg.norm(cube - view.state.tcp.position))


@dataclass(frozen=True)
class PegSkill:
    """Go above the hole, align, and push down; let go and lift a little when the peg is stuck aside.

    The last millimetre is found by touch: pressing on the board's top, her hand trembles over the hole.
    """

    peg_length: float
    """From the TCP to the tip of the peg [m]."""
    hole: str = "hole"
    hover: float = 0.02
    """Height of the tip above the hole at which the hand aligns [m]."""
    depth: float = 0.025
    """Depth to which the peg is pushed [m]."""
    press: float = 0.002
    """How far below the measured tip the target is led to press [m]."""
    near: float = 0.003
    """Misplacement that is good enough to descend [m]."""
    yaw_near: float = 0.06
    """Misalignment that is good enough to descend [rad]."""

    def depth_of(self, hole: Pose, hand: ArmState) -> float:
        """How deep the tip is below the mouth of the hole, negative above it [m]."""
        return float(hole.position[2] - hand.tcp.position[2]) + self.peg_length

    def intend(self, seen: View, hand: ArmState) -> Intent:
        hole = seen.truth[self.hole]
        depth = self.depth_of(hole, hand)
        # Where the target is she feels better than where the tip is: contact holds the tip back.
        aside = hole.position[:2] - hand.target.position[:2]
        turn = quarter_turn(swing_twist(hole.quaternion)[1] - tool_yaw(hand.target.quaternion))
        if depth > 0.003:
            # Inside: straight down, giving way to the walls.
            give = hand.tcp.position[:2] - hand.target.position[:2]
            return Intent("insert", np.array([*give, depth - self.depth]), turn, 0)
        low = depth > -0.6 * self.hover
        aligned = math.hypot(*aside.tolist()) < (2.0 if low else 1.0) * self.near
        if not aligned or abs(turn) > self.yaw_near:
            return Intent("approach", np.array([*aside, depth + self.hover]), turn, 0)
        if depth < -0.003:
            return Intent("descend", np.array([*aside, depth - 2 * self.press]), turn, 0)
        # On the board's top, friction holds the tip aside of the target: press lightly, and lead the target
        # on until the tip slides. Her tremor does the rest.
        lead = hand.tcp.position - hand.target.position
        slide = hole.position[:2] - hand.tcp.position[:2]
        return Intent("search", np.array([*slide, lead[2] - self.press]), turn, 0)

    def progress(self, view: View) -> float:
        hole = view.truth[self.hole]
        aside = float(np.linalg.norm(hole.position[:2] - view.state.tcp.position[:2]))
        depth = self.depth_of(hole, view.state)
        return depth if depth > 0.003 else -aside - abs(depth)


def quarter_turn(angle: float) -> float:
    """The equivalent turn in [-pi/4, pi/4] for an object with four-fold symmetry [rad]."""
    return (angle + math.pi / 4) % (math.pi / 2) - math.pi / 4
