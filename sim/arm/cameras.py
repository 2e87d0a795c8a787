"""Pictures for learning: a wrist and a side camera on a low-poly arm, cheap enough to draw at every tick.

The arm is capsules and the boxes that touch things; no meshes, shadows, reflections or multisampling. It is
posed after `ArmState` and the true poses of the objects, so it works for either engine and in another process
than the simulator. Software rendering (EGL or OSMesa) takes about a millisecond for both cameras.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from robot_rl.core.errors import ConfigError, nearest
from robot_rl.core.frames import (
    multiply,
    quaternion_from_matrix,
    quaternion_from_rotation_vector,
    rotate,
    wxyz_from_xyzw,
    xyzw_from_wxyz,
)
from robot_rl.core.types import ArmState, Intrinsics, Pose
from sim.arm.looks import MAX_DISTRACTORS, Colour, Distractor, Look, Mount
from sim.arm.mujoco_plant import build_spec, load_mujoco
from sim.arm.offscreen import offscreen_context, release
from sim.arm.puppet import Puppet
from sim.arm.render import look_at
from sim.arm.settings import ArmSimConfig

CAMERA_NAMES = ("wrist", "side")
"""Wrist camera on the hand, side camera on a stand beside the table."""

_WRIST_POSITION = (0.085, 0.0, 0.02)
_WRIST_TILT = 0.32
_WRIST_FOV = 80.0
# Seen along y, the area's 0.3 m lie across the picture and its 0.5 m in depth: both fit tightly, and a cube
# is 9 to 12 pixels wide. The hand shows its narrow side, which hides little.
_SIDE_POSITION = (0.5, -1.115, 0.856)
_SIDE_TARGET = (0.5, -0.05, 0.11)
_SIDE_FOV = 22.5
_FLOOR = -0.75

# link: capsules (from, to, radius) in the link's frame [m].
_CAPSULES: dict[str, tuple[tuple[tuple[float, float, float], tuple[float, float, float], float], ...]] = {
    "panda_link0": (((-0.06, 0.0, 0.05), (0.0, 0.0, 0.05), 0.08),),
    "panda_link1": (((0.0, 0.0, -0.24), (0.0, 0.0, -0.05), 0.065),),
    "panda_link2": (((0.0, 0.0, -0.06), (0.0, 0.0, 0.06), 0.065),),
    "panda_link3": (
        ((0.0, 0.0, -0.22), (0.0, 0.0, -0.05), 0.06),
        ((0.0, 0.0, -0.05), (0.08, 0.0, 0.0), 0.055),
    ),
    "panda_link4": (
        ((0.0, 0.0, -0.06), (0.0, 0.0, 0.06), 0.06),
        ((0.0, 0.0, 0.0), (-0.08, 0.08, 0.0), 0.055),
    ),
    "panda_link5": (
        ((0.0, 0.0, -0.31), (0.0, 0.05, -0.10), 0.05),
        ((0.0, 0.05, -0.10), (0.0, 0.02, 0.0), 0.045),
    ),
    "panda_link6": (((0.0, 0.0, -0.05), (0.0, 0.0, 0.03), 0.05), ((0.0, 0.0, 0.0), (0.08, 0.0, 0.0), 0.045)),
    "panda_link7": (((0.0, 0.0, 0.0), (0.0, 0.0, 0.07), 0.045),),
}
_CAPSULE_SLICES = 12


class TableCameras:
    """Draws what the cameras see. Equal states and looks give equal bits on one machine.

    Use it in one thread: OpenGL draws in the thread that made its context.

    Args:
        config: Which arm and scene; only the scene's kind and sizes matter.
        look: Colours, light and mounts; None for the default look.
        names: Which of `CAMERA_NAMES`, in the order of the pictures.
        size: Width and height of the pictures [pixels].
    """

    def __init__(
        self,
        config: ArmSimConfig,
        look: Look | None = None,
        names: tuple[str, ...] = CAMERA_NAMES,
        size: int = 128,
    ) -> None:
        for name in names:
            if name not in CAMERA_NAMES:
                raise ConfigError(f"unknown camera {name!r}: {nearest(name, CAMERA_NAMES)}")
        if size < 8:
            raise ConfigError(f"size must be 8 pixels or more, got {size}")
        mujoco = self._mujoco = load_mujoco()
        model = self._model = _camera_spec(mujoco, config).compile()
        model.vis.quality.offsamples = 0
        model.vis.quality.numslices = _CAPSULE_SLICES
        model.vis.quality.numstacks = _CAPSULE_SLICES // 2
        model.vis.global_.offwidth = model.vis.global_.offheight = size
        self._puppet = Puppet(model)
        self._mounts = {name: (model.cam(name).pos.copy(), model.cam(name).quat.copy()) for name in names}
        self.intrinsics: Mapping[str, Intrinsics] = {
            name: pinhole(float(model.cam(name).fovy[0]), size) for name in names
        }
        """Of each camera."""
        self._cameras = {name: mujoco.MjvCamera() for name in names}
        for name, camera in self._cameras.items():
            camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            camera.fixedcamid = model.cam(name).id
        self._rect = mujoco.MjrRect(0, 0, size, size)
        self._pixels = np.empty((size, size, 3), np.uint8)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 1
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom)
        self._scene.flags[:] = 0
        self._window = offscreen_context(size, size)
        self._window.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        # Also at the interpreter's exit, where OSMesa would be gone before its context otherwise.
        self._release = weakref.finalize(self, release, self._window, self._context)
        self.look = Look()
        """What is drawn now; change it with `set_look`."""
        self.set_look(look or self.look)

    def set_look(self, look: Look) -> None:
        """Draw the next pictures with another look: microseconds, nothing is compiled again."""
        if len(look.distractors) > MAX_DISTRACTORS:
            raise ConfigError(
                f"a look has at most {MAX_DISTRACTORS} distractors, got {len(look.distractors)}"
            )
        self.look = look
        model = self._model
        for geom in range(model.ngeom):
            colour = _colour(look, model.geom(geom).name, model.body(int(model.geom_bodyid[geom])).name)
            if colour is not None:
                model.geom_rgba[geom, :3] = colour
        for i in range(MAX_DISTRACTORS):
            self._set_distractor(i, look.distractors[i] if i < len(look.distractors) else None)
        bright = look.exposure
        model.light_dir[0] = np.array(look.light_direction) / np.linalg.norm(look.light_direction)
        model.light_diffuse[0] = bright * look.diffuse
        model.vis.headlight.ambient[:] = bright * look.ambient
        model.vis.headlight.diffuse[:] = bright * look.headlight
        mounts: Mapping[str, Mount] = {"wrist": look.wrist, "side": look.side}
        for name, (position, wxyz) in self._mounts.items():
            quaternion, mount = xyzw_from_wxyz(wxyz), mounts[name]
            turn = quaternion_from_rotation_vector(np.array(mount.rotation))
            model.cam(name).pos[:] = position + rotate(quaternion, np.array(mount.position))
            model.cam(name).quat[:] = wxyz_from_xyzw(multiply(quaternion, turn))

    def _set_distractor(self, slot: int, thing: Distractor | None) -> None:
        geom = self._model.geom(f"distractor{slot}")
        if thing is None:
            geom.rgba[3] = 0.0
            return
        types = self._mujoco.mjtGeom
        half = thing.radius if thing.kind == "sphere" else thing.height / 2
        kinds = {"box": types.mjGEOM_BOX, "cylinder": types.mjGEOM_CYLINDER, "sphere": types.mjGEOM_SPHERE}
        geom.type[:] = kinds[thing.kind]
        geom.size[:] = (
            (thing.radius, thing.radius, half) if thing.kind == "box" else (thing.radius, half, 0.0)
        )
        geom.pos[:] = (*thing.position, half)
        geom.quat[:] = (math.cos(thing.yaw / 2), 0.0, 0.0, math.sin(thing.yaw / 2))
        geom.rgba[:] = (*thing.colour, 1.0)
        # The compiler marks frames that are equal to the body's, and kinematics then skips their pose.
        geom.sameframe[:] = 0

    def render(self, state: ArmState, objects: Mapping[str, Pose]) -> dict[str, np.ndarray]:
        """Pictures of each camera, (size, size, 3) uint8 RGB.

        Args:
            state: Where arm and fingers are.
            objects: True poses; an object that is not named stays where it was drawn last.
        """
        mujoco, scene, context = self._mujoco, self._scene, self._context
        self._puppet.pose(state, objects)
        self._window.make_current()
        every, pictures = mujoco.mjtCatBit.mjCAT_ALL, {}
        for name, camera in self._cameras.items():
            # The whole scene for each camera, since the headlight goes with it.
            mujoco.mjv_updateScene(self._model, self._puppet.data, self._option, None, camera, every, scene)
            mujoco.mjr_render(self._rect, scene, context)
            mujoco.mjr_readPixels(self._pixels, None, self._rect, context)
            pictures[name] = self._pixels[::-1].copy()
        return pictures

    def where(self, name: str, state: ArmState) -> Pose:
        """Optical frame of a camera in the base frame: z ahead, x right, y down in the picture."""
        self._puppet.pose(state, {})
        camera = self._puppet.data.cam(name)
        # MuJoCo's camera has y up and looks along -z: half a turn about x.
        rotation = camera.xmat.reshape(3, 3) * (1.0, -1.0, -1.0)
        return Pose(camera.xpos.copy(), quaternion_from_matrix(rotation))

    def close(self) -> None:
        """Free what the graphics driver holds."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pinhole(fovy: float, size: int) -> Intrinsics:
    """Intrinsics of a square picture with square pixels and the vertical field of view `fovy` [degrees]."""
    focal = 0.5 * size / math.tan(0.5 * math.radians(fovy))
    middle = 0.5 * (size - 1)
    return Intrinsics(size, size, focal, focal, middle, middle)


def _colour(look: Look, geom: str, body: str) -> Colour | None:
    if geom.startswith("board"):
        return look.board
    if geom in ("cube", "peg", "table", "hole", "background"):
        return getattr(look, geom)
    if body == "panda_hand":
        return look.hand
    if body.endswith("finger"):
        return look.fingers
    return look.arm if body.startswith("panda_link") else None


def _camera_spec(mujoco: Any, config: ArmSimConfig) -> Any:
    spec = build_spec(config.physics, config.scene)
    types, world = mujoco.mjtGeom, spec.worldbody
    only_drawn = {"contype": 0, "conaffinity": 0, "mass": 0.0}
    for link, capsules in _CAPSULES.items():
        for a, b, radius in capsules:
            spec.body(link).add_geom(
                type=types.mjGEOM_CAPSULE, fromto=(*a, *b), size=(radius, 0.0, 0.0), **only_drawn
            )
    world.add_geom(
        name="background", type=types.mjGEOM_BOX, size=(6.0, 6.0, 0.01), pos=(0.0, 0.0, _FLOOR), **only_drawn
    )
    for i in range(MAX_DISTRACTORS):
        world.add_geom(name=f"distractor{i}", type=types.mjGEOM_BOX, size=(0.02, 0.02, 0.02), **only_drawn)
    if config.scene.kind == "peg":
        half = config.scene.hole_side / 2
        spec.body("hole").add_geom(
            name="hole",
            type=types.mjGEOM_BOX,
            size=(half, half, 0.0005),
            pos=(0.0, 0.0, 0.0005 - config.scene.board_size[2]),
            **only_drawn,
        )
    if config.scene.kind == "goal":
        goal = world.add_body(name="goal", mocap=True)
        goal.add_geom(
            type=types.mjGEOM_SPHERE, size=(0.02, 0.0, 0.0), rgba=(0.1, 0.75, 0.3, 1.0), **only_drawn
        )
    world.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.5, 0.0, 2.0),
        ambient=(0.0, 0.0, 0.0),
        specular=(0.0, 0.0, 0.0),
        castshadow=False,
    )
    # Metres: the clipping planes, between which depth is resolved, do not depend on how large the floor is.
    spec.stat.extent = 1.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 6.0
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    spec.body("panda_hand").add_camera(
        name="wrist", pos=_WRIST_POSITION, quat=_wrist_orientation(), fovy=_WRIST_FOV
    )
    world.add_camera(
        name="side", pos=_SIDE_POSITION, quat=look_at(_SIDE_POSITION, _SIDE_TARGET), fovy=_SIDE_FOV
    )
    return spec


def _wrist_orientation() -> np.ndarray:
    """Wxyz in the hand. A camera looks along its -z axis with y up.

    This one looks along the hand's z axis, turned towards the fingers, which come in from below.
    """
    c, t = math.cos(_WRIST_TILT), math.sin(_WRIST_TILT)
    return wxyz_from_xyzw(quaternion_from_matrix(np.array([[0.0, c, t], [1.0, 0.0, 0.0], [0.0, t, -c]])))


class Mounting(NamedTuple):
    """Where a camera is fixed."""

    body: str
    """Link that carries it, or "world"."""
    pose: Pose
    """Its optical frame in that body's: z ahead, x right, y down in the picture."""
    fovy: float
    """Vertical field of view [degrees]."""


def mountings() -> dict[str, Mounting]:
    """Where the cameras of the default look are, for whoever draws them without this module's pictures."""
    side = look_at(_SIDE_POSITION, _SIDE_TARGET)
    return {
        "wrist": _mounting("panda_hand", _WRIST_POSITION, _wrist_orientation(), _WRIST_FOV),
        "side": _mounting("world", _SIDE_POSITION, side, _SIDE_FOV),
    }


def _mounting(body: str, position: tuple[float, float, float], wxyz: np.ndarray, fovy: float) -> Mounting:
    # From MuJoCo's axes, y up and looking along -z, by half a turn about x.
    optical = multiply(xyzw_from_wxyz(wxyz), np.array([1.0, 0.0, 0.0, 0.0]))
    return Mounting(body, Pose(np.array(position), optical), fovy)
