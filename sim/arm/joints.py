"""The arm's joints as the model file has them: what a picture needs that is not drawn by a physics engine.

A link's frame in its parent's is the joint's origin, then the joint's motion: a turn about its axis, or a
shift along it. Whoever draws nested frames needs no more than this.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from robot_rl.core.frames import multiply, quaternion_from_rotation_vector, rotate
from robot_rl.core.types import Pose
from sim.arm.model import panda_urdf

Kind = Literal["revolute", "prismatic", "fixed"]
_KINDS: dict[str, Kind] = {"revolute": "revolute", "prismatic": "prismatic", "fixed": "fixed"}


@dataclass(frozen=True, slots=True)
class Joint:
    """One joint and the link behind it."""

    name: str
    """In the model."""
    kind: Kind
    """How it moves."""
    parent: str
    """Link that it is on."""
    child: str
    """Link that it moves."""
    origin: Pose
    """Frame of the joint in its parent's, and of the child at position 0."""
    axis: np.ndarray
    """(3,) unit vector in the joint's frame; meaningless when fixed."""

    def place(self, position: float) -> Pose:
        """Frame of the child in its parent's at a joint position [rad or m]."""
        if self.kind == "revolute":
            turn = quaternion_from_rotation_vector(position * self.axis)
            return Pose(self.origin.position, multiply(self.origin.quaternion, turn))
        if self.kind == "prismatic":
            shift = rotate(self.origin.quaternion, position * self.axis)
            return Pose(self.origin.position + shift, self.origin.quaternion)
        return self.origin


@cache
def joints() -> tuple[Joint, ...]:
    """All joints of the arm and its hand, each after the one that its parent hangs on; read once."""
    found = [_joint(element) for element in ET.fromstring(panda_urdf()).findall("joint")]
    placed, ordered = {"panda_link0"}, []
    while found:
        ready = [joint for joint in found if joint.parent in placed]
        if not ready:
            raise ValueError(f"joints hang on nothing: {', '.join(joint.name for joint in found)}")
        ordered += ready
        placed |= {joint.child for joint in ready}
        found = [joint for joint in found if joint.child not in placed]
    return tuple(ordered)


def _joint(element: ET.Element) -> Joint:
    name, parent, child = element.get("name", ""), element.find("parent"), element.find("child")
    kind = _KINDS.get(element.get("type", ""))
    if parent is None or child is None or kind is None:
        raise ValueError(f"joint {name!r} of the model has no parent, no child or a type that is not known")
    origin, axis = element.find("origin"), element.find("axis")
    position = _vector(origin, "xyz", "0 0 0")
    roll, pitch, yaw = _vector(origin, "rpy", "0 0 0")
    about_x, about_y, about_z = (
        quaternion_from_rotation_vector(angle * direction)
        for angle, direction in zip((roll, pitch, yaw), np.eye(3), strict=True)
    )
    # A URDF's angles turn about the fixed axes x, y, z, in this order.
    turn = multiply(about_z, multiply(about_y, about_x))
    return Joint(
        name,
        kind,
        parent.get("link", ""),
        child.get("link", ""),
        Pose(position, turn),
        _vector(axis, "xyz", "1 0 0"),
    )


def _vector(element: ET.Element | None, key: str, default: str) -> np.ndarray:
    text = default if element is None else element.get(key, default)
    return np.array([float(number) for number in text.split()])
