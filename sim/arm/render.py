"""Pictures of the simulated arm: off-screen views, films, and a window to watch.

Drawing has a model of its own, with the robot's meshes, that is posed after the running simulation: it looks
the same whichever engine runs, and costs the simulation nothing.
"""

from __future__ import annotations

import importlib
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from robot_rl.core.errors import ConfigError, MissingDependencyError, nearest
from robot_rl.core.frames import quaternion_from_matrix, wxyz_from_xyzw
from robot_rl.core.types import ArmState, Pose, Sight
from sim.arm.meshes import robot_parts
from sim.arm.mujoco_plant import build_spec, load_mujoco
from sim.arm.offscreen import offscreen_context, release
from sim.arm.overlay import draw_cameras, draw_probabilities
from sim.arm.puppet import Puppet
from sim.arm.settings import ArmSimConfig

CAMERAS: dict[str, tuple[str, tuple[float, float, float], tuple[float, float, float]]] = {
    "front": ("world", (1.45, 0.75, 0.75), (0.32, 0.0, 0.25)),
    "side": ("world", (0.45, -1.5, 0.55), (0.3, 0.0, 0.3)),
    "top": ("world", (0.5, 0.0, 1.2), (0.5, 0.0, 0.0)),
    "wrist": ("panda_hand", (0.07, 0.0, 0.02), (0.01, 0.0, 0.13)),
}
"""Views: body that carries the camera, its position and the point it looks at, in that body's frame [m]."""

_TOUCHING_GROUP = 3
"""Geoms that touch things: boxes that are not drawn, as the meshes are."""
_FLOOR = -0.75


class Drawable(Protocol):
    """What there is to draw: a simulated arm on either engine."""

    @property
    def config(self) -> ArmSimConfig: ...

    def state(self) -> ArmState: ...

    def truth(self) -> Mapping[str, Pose]: ...


class Renderer:
    """Draws an arm off-screen.

    Args:
        arm: What to draw.
        width: Of the picture [pixels].
        height: Of the picture [pixels].
        camera: One of `CAMERAS`.
        shadows: Draw shadows; ten times slower without a GPU.
    """

    def __init__(
        self, arm: Drawable, width: int = 640, height: int = 480, camera: str = "front", shadows: bool = False
    ) -> None:
        if camera not in CAMERAS:
            raise ConfigError(f"unknown camera {camera!r}: {nearest(camera, CAMERAS)}")
        mujoco = self._mujoco = load_mujoco()
        self._arm = arm
        model = _scene_spec(mujoco, arm.config).compile()
        self._puppet = Puppet(model)
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        self._picture = np.empty((height, width, 3), np.uint8)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(camera).id
        self._option = _visible_groups(mujoco)
        self._scene = mujoco.MjvScene(model, maxgeom=200)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = shadows
        self._window = offscreen_context(width, height)
        self._window.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        # Also at the interpreter's exit, where OSMesa would be gone before its context otherwise.
        self._release = weakref.finalize(self, release, self._window, self._context)

    def render(self) -> np.ndarray:
        """(height, width, 3) uint8 RGB picture of the arm now."""
        mujoco, puppet = self._mujoco, self._puppet
        puppet.pose(self._arm.state(), self._arm.truth())
        self._window.make_current()
        mujoco.mjv_updateScene(
            puppet.model,
            puppet.data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._picture, None, self._rect, self._context)
        return self._picture[::-1].copy()

    def close(self) -> None:
        """Free what the graphics driver holds."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class VideoWriter:
    """Writes pictures to an H.264 file.

    Args:
        path: The file, usually `*.mp4`; folders are made.
        rate: Pictures a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        try:
            self._ffmpeg = importlib.import_module("imageio_ffmpeg")
        except ImportError as error:
            raise MissingDependencyError(
                "imageio-ffmpeg", "writing a video", 'pip install "robot-rl[sim]"'
            ) from error
        self.path = path
        self.rate = rate
        self._encoder: Any = None

    def add(self, picture: np.ndarray) -> None:
        """Append one (height, width, 3) uint8 RGB picture; all must have the size of the first."""
        if self._encoder is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            height, width = picture.shape[:2]
            self._encoder = self._ffmpeg.write_frames(
                str(self.path), (width, height), fps=self.rate, macro_block_size=2, ffmpeg_log_level="error"
            )
            self._encoder.send(None)
        self._encoder.send(np.ascontiguousarray(picture))

    def close(self) -> None:
        """Finish the file."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Film:
    """A video of an arm: one picture at each `add`, played at `rate` pictures a second."""

    def __init__(self, arm: Drawable, path: Path, rate: float, camera: str = "front") -> None:
        self._renderer = Renderer(arm, camera=camera)
        self._writer = VideoWriter(path, rate)

    def add(self, sight: Sight | None = None, thresholds: Sequence[float] = ()) -> None:
        """Take a picture of the arm now.

        Args:
            sight: What its cameras see, and what a reward classifier makes of it, to be drawn in.
            thresholds: The classifier's.
        """
        picture = self._renderer.render()
        if sight is not None:
            draw_cameras(picture, [seen.image for seen in sight.images.values()])
            draw_probabilities(picture, sight.stages, thresholds if sight.stages else ())
        self._writer.add(picture)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
        self._renderer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Viewer:
    """A window on an arm. It only watches: nothing done in it reaches the simulation."""

    def __init__(self, arm: Drawable) -> None:
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise MissingDependencyError(
                "a display", "the viewer", "a desktop session, or write a video instead (--video FILE)"
            )
        self._arm = arm
        self._puppet = Puppet(_scene_spec(load_mujoco(), arm.config).compile())
        self._puppet.pose(arm.state(), arm.truth())
        viewer = importlib.import_module("mujoco.viewer")
        self._handle = viewer.launch_passive(
            self._puppet.model, self._puppet.data, show_left_ui=False, show_right_ui=False
        )
        self._handle.opt.geomgroup[_TOUCHING_GROUP] = 0

    def show(self) -> None:
        """Draw the arm as it is now; does nothing once the window was closed."""
        if self._handle.is_running():
            with self._handle.lock():
                self._puppet.pose(self._arm.state(), self._arm.truth())
            self._handle.sync()

    def close(self) -> None:
        """Close the window."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _visible_groups(mujoco: Any) -> Any:
    option = mujoco.MjvOption()
    option.geomgroup[_TOUCHING_GROUP] = 0
    return option


def _scene_spec(mujoco: Any, config: ArmSimConfig) -> Any:
    spec = build_spec(config.physics, config.scene)
    for link, parts in robot_parts().items():
        for i, part in enumerate(parts):
            name = f"{link}_{i}"
            mesh = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
            mesh.uservert = part.vertices.ravel()
            mesh.userface = part.faces.ravel()
            spec.body(link).add_geom(
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=name,
                rgba=(*part.colour, 1.0),
                contype=0,
                conaffinity=0,
                mass=0.0,
            )
    world = spec.worldbody
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.75, 0.82, 0.90),
        rgb2=(0.35, 0.42, 0.52),
        width=64,
        height=384,
    )
    world.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(3.0, 3.0, 0.1),
        pos=(0.0, 0.0, _FLOOR),
        rgba=(0.4, 0.42, 0.45, 1),
    )
    world.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=(0.1, -_FLOOR / 2, 0.0),
        pos=(-0.04, 0.0, _FLOOR / 2),
        rgba=(0.3, 0.3, 0.32, 1.0),
    )
    world.add_light(pos=(0.6, -0.8, 2.0), dir=(-0.1, 0.4, -1.0), diffuse=(0.6, 0.6, 0.6), castshadow=True)
    world.add_light(pos=(1.5, 1.0, 1.5), dir=(-0.7, -0.6, -0.8), diffuse=(0.35, 0.35, 0.35), castshadow=False)
    if config.scene.kind == "goal":
        marker = world.add_body(name="goal", mocap=True)
        marker.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=(0.02, 0.0, 0.0),
            rgba=(0.1, 0.75, 0.3, 0.6),
            contype=0,
            conaffinity=0,
        )
    for name, (body, position, target) in CAMERAS.items():
        spec.body(body).add_camera(name=name, pos=position, quat=look_at(position, target), fovy=45.0)
    return spec


def look_at(position: tuple[float, float, float], target: tuple[float, float, float]) -> np.ndarray:
    """Orientation wxyz of a camera, which looks along its -z axis with y up, at `target`."""
    back = np.subtract(position, target)
    back = back / np.linalg.norm(back)
    up = np.array([0.0, 0.0, 1.0]) if abs(back[2]) < 0.95 else np.array([1.0, 0.0, 0.0])
    right = np.cross(up, back)
    right = right / np.linalg.norm(right)
    return wxyz_from_xyzw(quaternion_from_matrix(np.column_stack([right, np.cross(back, right), back])))
