"""Shape of the peg and of the board with the hole, the same in both engines and in the pictures.

The peg is square, fixed to the hand, and points along the tool. The board's frame is the centre of the hole's
mouth: on the board's top, z up, x and y along the hole's sides. Four boxes around the hole make the board.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.arm.settings import SceneConfig

_GRIPPED = 0.01
"""How far the peg reaches up between the pads, from the TCP [m]."""


class Box(NamedTuple):
    """A box along the axes of its frame."""

    half_sides: tuple[float, float, float]
    """[m]."""
    centre: tuple[float, float, float]
    """[m]."""


def peg_box(scene: SceneConfig) -> Box:
    """The peg in the TCP's frame, whose z axis points out of the hand."""
    half = scene.peg_side / 2
    return Box((half, half, (scene.peg_length + _GRIPPED) / 2), (0.0, 0.0, (scene.peg_length - _GRIPPED) / 2))


def board_boxes(scene: SceneConfig) -> tuple[Box, Box, Box, Box]:
    """The board in its own frame: two boxes along the whole of y, and two between them."""
    length, breadth, height = scene.board_size
    hole, down = scene.hole_side / 2, -height / 2
    width, depth = (length / 2 - hole) / 2, (breadth / 2 - hole) / 2
    whole, part = (width, breadth / 2, height / 2), (hole, depth, height / 2)
    return (
        Box(whole, (hole + width, 0.0, down)),
        Box(whole, (-hole - width, 0.0, down)),
        Box(part, (0.0, hole + depth, down)),
        Box(part, (0.0, -hole - depth, down)),
    )
