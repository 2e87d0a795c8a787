"""The robot's meshes for pictures, one part for each colour.

MuJoCo reads one object in one colour from an OBJ file, while the robot's files hold several of both.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sim.arm.model import panda_directory

_MESHES = {
    "panda_link0": "collision/link0.obj",
    **{f"panda_link{i}": f"visual/link{i}.obj" for i in range(1, 7)},
    "panda_link7": "collision/link7.obj",
    "panda_hand": "visual/hand.obj",
    "panda_leftfinger": "visual/finger.obj",
    "panda_rightfinger": "visual/finger.obj",
}
_WHITE = (0.9, 0.92, 0.93)


class Part(NamedTuple):
    """A surface of one colour."""

    colour: tuple[float, ...]
    """RGB in [0, 1]."""
    vertices: np.ndarray
    """(n, 3) in the link's frame [m]."""
    faces: np.ndarray
    """(m, 3) indices of vertices."""


@cache
def robot_parts() -> dict[str, list[Part]]:
    """What each link looks like; read once."""
    folder = panda_directory() / "meshes"
    files = {name: read_obj(folder / name) for name in sorted(set(_MESHES.values()))}
    parts = {link: files[name] for link, name in _MESHES.items()}
    # Both fingers share a mesh; the right one is turned by half a turn about the tool axis.
    turn = np.array([-1.0, -1.0, 1.0])
    parts["panda_rightfinger"] = [p._replace(vertices=p.vertices * turn) for p in parts["panda_rightfinger"]]
    return parts


def read_obj(path: Path) -> list[Part]:
    """Read the triangles of a Wavefront OBJ file, grouped by the diffuse colour of their material."""
    materials: dict[str, tuple[float, ...]] = {}
    vertices: list[list[float]] = []
    faces: dict[tuple[float, ...], list[list[int]]] = {}
    current = faces.setdefault(_WHITE, [])
    for line in path.read_text().splitlines():
        key, _, rest = line.partition(" ")
        if key == "v":
            vertices.append([float(x) for x in rest.split()])
        elif key == "f":
            current.append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
        elif key == "usemtl":
            current = faces.setdefault(materials.get(rest.strip(), _WHITE), [])
        elif key == "mtllib" and (path.parent / rest.strip()).exists():
            materials |= _read_mtl(path.parent / rest.strip())
    everything = np.array(vertices)
    parts = []
    for colour, triangles in faces.items():
        if triangles:
            used, indices = np.unique(np.array(triangles), return_inverse=True)
            parts.append(Part(colour, everything[used], indices.reshape(-1, 3)))
    return parts


def _read_mtl(path: Path) -> dict[str, tuple[float, ...]]:
    colours: dict[str, tuple[float, ...]] = {}
    name = ""
    for line in path.read_text().splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "newmtl":
            name = rest.strip()
        elif key == "Kd":
            colours[name] = tuple(float(x) for x in rest.split())
    return colours
