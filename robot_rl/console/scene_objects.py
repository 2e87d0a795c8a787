"""What stands in the 3-D scene: the robot's links, the table, the objects, cameras and limits.

All are children of frames, so that they move with what they are fixed to.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.control.safety import SafetyLimits
from robot_rl.core.frames import wxyz_from_xyzw
from robot_rl.core.types import Pose
from sim.arm.cameras import mountings
from sim.arm.joints import joints
from sim.arm.looks import Colour, Look
from sim.arm.meshes import robot_parts
from sim.arm.model import TABLE_HALF_SIZE, TCP_LINK
from sim.arm.peg import board_boxes, peg_box
from sim.arm.settings import SceneConfig

if TYPE_CHECKING:
    from viser import FrameHandle, SceneApi, SceneNodeHandle

_FLOOR = -0.75
_PEDESTAL_RADIUS = 0.11
_TABLE: Colour = (0.21, 0.24, 0.29)
_LEGS: Colour = (0.14, 0.16, 0.19)
_GOAL: Colour = (0.20, 0.78, 0.45)
_CAMERA: Colour = (0.45, 0.53, 0.62)
_LIMIT: Colour = (0.75, 0.52, 0.16)
_FRUSTUM = 0.05
_SKY = (230, 237, 250)
_GROUND = (130, 136, 148)


def add_robot(scene: SceneApi) -> dict[str, FrameHandle]:
    """The arm in the pose of its model file; the frame of each link by the link's name."""
    paths = {"panda_link0": "/arm"}
    frames = {"panda_link0": scene.add_frame("/arm", show_axes=False)}
    for joint in joints():
        paths[joint.child] = f"{paths[joint.parent]}/{joint.child.removeprefix('panda_')}"
        frames[joint.child] = scene.add_frame(
            paths[joint.child],
            show_axes=False,
            position=joint.origin.position,
            wxyz=wxyz_from_xyzw(joint.origin.quaternion),
        )
    for link, parts in robot_parts().items():
        for i, part in enumerate(parts):
            vertices, faces = split_creases(part.vertices, part.faces)
            scene.add_mesh_simple(f"{paths[link]}/part{i}", vertices, faces, color=np.array(part.colour))
    return frames


def add_light(scene: SceneApi) -> None:
    """Light from above and, weaker, from below, beside viser's lamp with its shadows.

    Not from an environment map: to filter one is a single picture's work that takes a computer without a
    graphics card many seconds, and as long its browser answers neither the mouse nor the keys.
    """
    scene.configure_environment_map(None)
    upright = wxyz_from_xyzw(np.array([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]))
    scene.add_light_hemisphere("/sky", sky_color=_SKY, ground_color=_GROUND, intensity=1.6, wxyz=upright)


def add_surroundings(scene: SceneApi, limits: SafetyLimits) -> None:
    """Floor, table and pedestal, and the box that the target cannot leave."""
    x, y, z = TABLE_HALF_SIZE
    scene.add_box("/table/top", _TABLE, (2 * x, 2 * y, 2 * z), position=(0.5, 0.0, -z))
    height = -_FLOOR - 2 * z
    for i, (along, across) in enumerate(itertools.product((-1.0, 1.0), repeat=2)):
        leg = (0.5 + along * (x - 0.04), across * (y - 0.04), _FLOOR + height / 2)
        scene.add_box(f"/table/leg{i}", _LEGS, (0.05, 0.05, height), position=leg)
    scene.add_cylinder(
        "/pedestal", _PEDESTAL_RADIUS, -_FLOOR, _LEGS, position=(-0.06, 0.0, _FLOOR / 2), cast_shadow=False
    )
    scene.add_grid(
        "/floor",
        width=8.0,
        height=8.0,
        position=(0.0, 0.0, _FLOOR),
        cell_size=0.25,
        cell_color=(0.13, 0.15, 0.18),
        section_size=1.0,
        section_color=(0.18, 0.21, 0.25),
        fade_distance=6.0,
        fade_from="origin",
        shadow_opacity=0.35,
    )
    scene.add_line_segments(
        "/workspace", box_edges(limits.workspace_min, limits.workspace_max), _LIMIT, thickness=0.0015
    )


def add_objects(
    scene: SceneApi, config: SceneConfig, frames: dict[str, FrameHandle]
) -> dict[str, FrameHandle]:
    """What the task is about; the frames of what moves, by the object's name, hidden as yet."""
    look = Look()
    if config.kind == "cube":
        frame = scene.add_frame("/cube", show_axes=False, visible=False)
        scene.add_box("/cube/box", look.cube, (config.cube_side, config.cube_side, config.cube_side))
        return {"cube": frame}
    if config.kind == "goal":
        frame = scene.add_frame("/goal", axes_length=0.06, axes_radius=0.002, visible=False)
        scene.add_icosphere("/goal/ball", 0.02, _GOAL, opacity=0.55, cast_shadow=False)
        return {"goal": frame}
    if config.kind == "peg":
        peg = peg_box(config)
        tool = frames[TCP_LINK].name
        scene.add_box(f"{tool}/peg", look.peg, _sides(peg.half_sides), position=peg.centre)
        frame = scene.add_frame("/hole", show_axes=False, visible=False)
        for i, box in enumerate(board_boxes(config)):
            scene.add_box(f"/hole/board{i}", look.board, _sides(box.half_sides), position=box.centre)
        bottom = (0.0, 0.0, 0.0005 - config.board_size[2])
        scene.add_box("/hole/bottom", look.hole, (config.hole_side, config.hole_side, 0.001), position=bottom)
        return {"hole": frame}
    return {}


def add_cameras(scene: SceneApi, names: tuple[str, ...], frames: dict[str, FrameHandle]) -> None:
    """The frustums of those of the cameras whose place the simulator knows."""
    known = mountings()
    for name in names:
        if name in known:
            body, pose, fovy = known[name]
            parent = frames[body].name if body in frames else ""
            scene.add_camera_frustum(
                f"{parent}/camera_{name}",
                math.radians(fovy),
                1.0,
                scale=_FRUSTUM,
                thickness=0.03,
                color=_CAMERA,
                cast_shadow=False,
                position=pose.position,
                wxyz=wxyz_from_xyzw(pose.quaternion),
            )


def place(node: SceneNodeHandle, pose: Pose) -> None:
    """Move something; nothing is sent when it is there already."""
    node.position = pose.position
    node.wxyz = wxyz_from_xyzw(pose.quaternion)


def box_edges(low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
    """(12, 2, 3) ends of the edges of a box along the axes."""
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    return corners[np.array(edges)]


def split_creases(
    vertices: np.ndarray, faces: np.ndarray, angle: float = 0.6
) -> tuple[np.ndarray, np.ndarray]:
    """The same surface with a vertex of its own for each side of a crease.

    A renderer that shades smoothly averages the normals at a vertex; without this a box looks like a pillow.

    Args:
        vertices: (n, 3).
        faces: (m, 3) indices of vertices.
        angle: Neighbouring faces that meet at more than about this are a crease [rad].

    Returns:
        Vertices and faces.
    """
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    corners = faces.ravel()
    order = np.argsort(corners, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(corners[order]) > 0])
    group = np.empty(len(corners), int)
    count, limit = 0, math.cos(angle)
    for indices in np.split(order, starts[1:]):
        # Corners at one vertex: each joins the first group whose first normal is near to its own.
        around = normals[indices // 3]
        near = around @ around.T > limit
        first = near.argmax(axis=1)
        while not np.array_equal(first, first[first]):
            first = first[first]
        _, inside = np.unique(first, return_inverse=True)
        group[indices] = count + inside
        count += int(inside.max()) + 1
    source = np.empty(count, int)
    source[group] = corners
    return vertices[source], group.reshape(-1, 3)


def _sides(half: tuple[float, float, float]) -> tuple[float, float, float]:
    return (2 * half[0], 2 * half[1], 2 * half[2])
