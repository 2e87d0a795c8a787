"""The robot and its scene in 3-D, drawn by viser in the operator's browser from the simulator's own model.

Links are nested frames: the browser does the kinematics, and an update is seven turns, the fingers, the
target and the objects. Nothing is sent while nobody looks.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import rich

from robot_rl.console.scene_objects import (
    add_cameras,
    add_light,
    add_objects,
    add_robot,
    add_surroundings,
    place,
)
from robot_rl.core.errors import MissingDependencyError
from robot_rl.core.frames import wxyz_from_xyzw
from robot_rl.core.types import ArmState, Pose
from sim.arm.joints import joints
from sim.arm.model import ARM_JOINTS, FINGER_JOINTS, TCP_LINK
from sim.arm.settings import ArmSimConfig

if TYPE_CHECKING:
    import viser

NO_OBJECTS: Mapping[str, Pose] = MappingProxyType({})

VIEW_FROM = (-0.75, -0.90, 1.15)
"""Where a browser looks from at first, base frame [m]: over the robot's shoulder, so that forward is away
from her, as she moves a device."""
VIEW_AT = (0.36, -0.03, 0.16)
"""What it looks at [m]."""
VIEW_FOV = 0.68
"""Its vertical field of view [rad]."""

_BLUE = (0.25, 0.65, 1.0)


class Scene3D:
    """Shows an arm and its objects. All methods may be called by any thread.

    Args:
        config: Which arm, limits and scene.
        cameras: Names of the cameras to show.
    """

    def __init__(self, config: ArmSimConfig, cameras: tuple[str, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._newest: tuple[ArmState, Mapping[str, Pose]] | None = None
        self._wanted: Pose | None = None
        with _quiet():
            server = self._server = _serve()
        server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        server.initial_camera.position = VIEW_FROM
        server.initial_camera.look_at = VIEW_AT
        server.initial_camera.fov = VIEW_FOV
        scene = server.scene
        add_light(scene)
        self._links = add_robot(scene)
        add_surroundings(scene, config.limits)
        self._objects = add_objects(scene, config.scene, self._links)
        add_cameras(scene, cameras, self._links)
        scene.add_frame(f"{self._links[TCP_LINK].name}/axes", axes_length=0.06, axes_radius=0.0015)
        self._target = scene.add_frame(
            "/target",
            axes_length=0.04,
            axes_radius=0.001,
            origin_radius=0.006,
            origin_color=_BLUE,
            visible=False,
        )
        self._handle = scene.add_transform_controls(
            "/handle", scale=0.16, line_width=3.0, depth_test=False, opacity=0.9, visible=False
        )
        self._joints = {joint.name: joint for joint in joints()}
        server.on_client_connect(lambda _: self._catch_up())

    @property
    def port(self) -> int:
        """Of viser, on this machine alone; `robot_rl.console.proxy` brings it to browsers."""
        return self._server.get_port()

    def update(self, state: ArmState, objects: Mapping[str, Pose] = NO_OBJECTS) -> None:
        """Show a state of the arm; an object that is not named stays where it was.

        A state that is not finite is not shown: it has no place in the picture.
        """
        if not np.isfinite(state.q).all():
            return
        with self._lock:
            known = self._newest[1] if self._newest is not None else NO_OBJECTS
            self._newest = state, {**known, **objects}
            if self._server.get_clients():
                self._show()

    def show_handle(self, visible: bool) -> None:
        """Offer the handle, at the arm's target, or take it away; it may be asked for again and again."""
        with self._lock:
            if visible == self._handle.visible:
                return
            self._wanted = None
            if visible and self._newest is not None:
                place(self._handle, self._newest[0].target)
            self._handle.visible = visible

    def drag(self, wanted: Pose | None) -> None:
        """The operator holds the handle at a pose in the base frame; None when she lets it go.

        It follows the arm's target again then. The browsers that look on see it through viser itself.
        """
        with self._lock:
            self._wanted = wanted if self._handle.visible else None

    def close(self) -> None:
        """End viser and its connections."""
        with _quiet():
            self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _catch_up(self) -> None:
        with self._lock:
            if self._newest is not None:
                self._show()

    def _show(self) -> None:
        if self._newest is None:
            return
        state, objects = self._newest
        with self._server.atomic():
            for name, position in zip(ARM_JOINTS, state.q.tolist(), strict=True):
                self._move(name, position)
            for name in FINGER_JOINTS:
                self._move(name, state.gripper_width / 2)
            place(self._target, state.target)
            self._target.visible = True
            if self._wanted is None and self._handle.visible:
                place(self._handle, state.target)
            for name, pose in objects.items():
                if name in self._objects:
                    place(self._objects[name], pose)
                    self._objects[name].visible = True

    def _move(self, name: str, position: float) -> None:
        joint = self._joints[name]
        pose, link = joint.place(position), self._links[joint.child]
        if joint.kind == "revolute":
            link.wxyz = wxyz_from_xyzw(pose.quaternion)
        else:
            link.position = pose.position


def _serve() -> viser.ViserServer:
    try:
        module: Any = importlib.import_module("viser")
    except ImportError as error:
        raise MissingDependencyError(
            "viser", "the console's 3-D scene", "pip install 'robot-rl[console]'"
        ) from error

    class Server(module.ViserServer):
        def request_share_url(self, verbose: bool = True) -> str | None:
            """No tunnel to a server of viser's makers, whoever asks for it."""
            del verbose
            return None

    return Server(host="127.0.0.1", port=0, label="robot_rl", verbose=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without viser's own greetings, which name an address that nobody should open."""
    console = rich.get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before
