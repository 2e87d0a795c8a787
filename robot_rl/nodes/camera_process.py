"""The cameras of a simulated scene: one node `<camera>_camera_driver` each, all in one process.

They draw the scene after what the robot's process publishes, so the simulator does not wait for them. In
lockstep every tick has one frame a camera, with the tick's stamp. On the real clock frames come at the
camera rate, show the newest state and have its stamp. Real cameras have a process each
(`robot_rl.nodes.camera_driver`).

Run as `python -m robot_rl.nodes.camera_process --ros-args -p task:=franka_pick_cube:pixels`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rclpy.node import Node

from robot_rl import tasks
from robot_rl.core.clock import NANOSECONDS, Rate, SteadyClock
from robot_rl.core.errors import ConfigError
from robot_rl.nodes.camera_node import CameraNode
from robot_rl.nodes.executor import Spinner, StopFlag, collect_garbage_only_when_told, run
from robot_rl.nodes.messages import Tick
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.topic_robot import StateInputs
from robot_rl.tasks.scene_cameras import SceneCameras


@dataclass(frozen=True)
class CameraProcessSettings:
    """Settings of the simulated cameras beside the task's own."""

    task: str = "franka_pick_cube:pixels"
    """Name of the task."""
    clock: Literal["lockstep", "realtime"] = "lockstep"
    """Whether every tick has its frame, or frames come at the camera rate."""
    camera_rate: float = 15.0
    """Frames a second on the real clock [Hz]."""


class SceneAtTicks:
    """Draws each tick once."""

    def __init__(self, nodes: Mapping[str, CameraNode], sensors: StateInputs, scene: SceneCameras) -> None:
        self.nodes = nodes
        self.sensors = sensors
        self.scene = scene
        self._request = ""
        self._stamp = -1

    def show(self, tick: Tick, again: bool) -> None:
        """Publish the frames of a tick; of one that is known already only when they shall come `again`."""
        if tick.stamp == self._stamp and tick.request == self._request:
            if again:
                for node in self.nodes.values():
                    node.publish_again()
            return
        messages = self.sensors.inputs.take(tick)
        state, objects = self.sensors.state(messages), self.sensors.truth(messages)
        if tick.request != self._request:
            self.scene.reset(tick.episode, objects)
        self._request, self._stamp = tick.request, tick.stamp
        for name, frame in self.scene.pictures(state, objects).items():
            self.nodes[name].publish(frame, self.scene.intrinsics[name])


def run_lockstep(spinner: Spinner, scene: SceneAtTicks) -> None:
    """Draw every tick as soon as it is there, for ever."""
    seen: Tick | None = None
    while True:
        spinner.spin_once()
        tick = scene.sensors.newest()
        if tick is not None and tick is not seen:
            seen = tick
            scene.show(tick, again=True)


def run_realtime(spinner: Spinner, scene: SceneAtTicks, camera_rate: float) -> None:
    """Draw the newest state at the camera rate, for ever. When no new one comes, no frame does."""
    collect_garbage_only_when_told()
    rate = Rate(SteadyClock(), camera_rate)
    while True:
        spinner.spin_until(rate.next_tick / NANOSECONDS)
        rate.sleep()
        tick = scene.sensors.newest()
        if tick is not None:
            scene.show(tick, again=False)


def body(stop: StopFlag) -> None:
    """Make the cameras and run them until the process is asked to end."""
    reader = Node("cameras")
    parameters = Parameters(reader)
    settings = parameters.read(CameraProcessSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    if not config.cameras:
        raise ConfigError(f"the task {settings.task!r} has no cameras: try {settings.task}:{tasks.PIXELS}")
    nodes = {name: CameraNode(name) for name in config.cameras}
    spinner = Spinner(stop, reader, *nodes.values())
    scene = config.make_cameras()
    at_ticks = SceneAtTicks(nodes, StateInputs(reader, config.objects), scene)
    try:
        if settings.clock == "lockstep":
            run_lockstep(spinner, at_ticks)
        else:
            run_realtime(spinner, at_ticks, settings.camera_rate)
    finally:
        spinner.close()
        scene.close()


def main() -> int:
    """Entry point."""
    return run("cameras", body)


if __name__ == "__main__":
    sys.exit(main())
