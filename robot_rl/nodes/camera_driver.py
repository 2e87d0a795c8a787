"""A real camera: the node `<camera>_camera_driver` over the `Camera` protocol, in a process of its own.

A thread waits for pictures, because the vendors' libraries block. Every picture is looked at before it is
published; that one is no good is said once, and once that the camera is back. A camera that is lost is opened
again by itself. Crop, size, exposure and the rest are the parameters `device.*`. Stamps are those of the
exposure, by the node's ROS clock: with `use_sim_time` that of the robot's process.

Run as `python -m robot_rl.nodes.camera_driver wrist --ros-args -p device.driver:=realsense`.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.time import Time
from rclpy.utilities import remove_ros_args

from drivers.cameras.guard import FrameGuard
from drivers.cameras.opening import open_camera
from drivers.cameras.settings import CameraConfig
from robot_rl.core.errors import CameraError, ConfigError
from robot_rl.core.protocols import Camera, Clock
from robot_rl.core.types import StampedImage
from robot_rl.nodes.camera_node import CameraNode
from robot_rl.nodes.executor import Spinner, StopFlag, run
from robot_rl.nodes.fault_log import FaultLog
from robot_rl.nodes.params import Parameters


@dataclass(frozen=True)
class CameraDriverSettings:
    """Settings of a real camera's process."""

    device: CameraConfig = field(default_factory=CameraConfig)
    """The device, and what is made of its pictures."""


class NodeClock:
    """A node's ROS clock as a `Clock` of `robot_rl.core.protocols`."""

    def __init__(self, node: Node) -> None:
        self._clock = node.get_clock()

    def now(self) -> int:
        return self._clock.now().nanoseconds

    def sleep_until(self, stamp: int) -> None:
        self._clock.sleep_until(Time(nanoseconds=stamp, clock_type=self._clock.clock_type))


class Reader:
    """Publishes the good frames of a camera from a thread."""

    def __init__(self, node: CameraNode, camera: Camera, guard: FrameGuard, clock: Clock) -> None:
        self._node = node
        self._camera = camera
        self._guard = guard
        self._clock = clock
        self._log = FaultLog(node, f"camera {node.camera!r}")
        self._drops = FaultLog(node, f"camera {node.camera!r}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reader of {node.camera}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """False once its thread has died of an error that no camera may raise."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Let go of the camera."""
        self._stop.set()
        self._camera.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                frame = self._checked(self._camera.read())
            except CameraError as error:
                if not self._stop.is_set():
                    self._log.bad(error)
                continue
            if frame is not None:
                self._log.good()
                self._node.publish(frame, self._camera.intrinsics)

    def _checked(self, frame: StampedImage) -> StampedImage | None:
        """The frame; None for one that is not newer than another.

        Stamps are never later than the clock, so one that is belongs to simulated time before it began again.
        """
        now = self._clock.now()
        if self._guard.newest is not None and self._guard.newest > now:
            self._guard.reset()
            self._drops.good()
        checked = self._guard.check(frame) if frame.stamp <= now else None
        if checked is None:
            self._drops.bad(self._guard.why_dropped)  # said once: a slow clock may drop every other one
        return checked


def body(stop: StopFlag) -> None:
    """Open the camera and publish its frames until the process is asked to end."""
    words = remove_ros_args(sys.argv)[1:]
    if len(words) != 1 or not words[0].isidentifier():
        raise ConfigError(
            f"expected the name of one camera before --ros-args, such as wrist or side, not {words}"
        )
    stop.process = f"{words[0]}_camera_driver"  # one of several
    node = CameraNode(words[0])
    parameters = Parameters(node)
    device = parameters.read(CameraDriverSettings()).device
    parameters.check_all_known()
    clock = NodeClock(node)
    camera = open_camera(device, node.camera, clock)
    guard = FrameGuard(node.camera, device.output_size, device.black_level, device.frozen_after)
    reader = Reader(node, camera, guard, clock)
    spinner = Spinner(stop, node)
    try:
        while reader.is_alive:
            spinner.spin_once()
        raise CameraError(f"the thread that reads camera {node.camera!r} has died; its error is above")
    finally:
        reader.close()
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("camera", body)


if __name__ == "__main__":
    sys.exit(main())
