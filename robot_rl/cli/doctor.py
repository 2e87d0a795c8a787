"""`robot-rl doctor`: what is missing on this machine, what it is needed for, and how to get it."""

from __future__ import annotations

import ctypes.util
import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.teleop.connected import connected_devices
from policies.firmware import TARGETS, install_hint, missing_tools
from robot_rl.cli.arguments import parse
from robot_rl.cli.report import print_json
from robot_rl.core.siblings import SiblingError, check_siblings

SHARED_MEMORY = Path("/dev/shm")
MINIMUM_SHARED_MEMORY = 64 * 2**20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: str
    """"ok", "missing" (an optional part will not work) or "broken" (nothing will)."""
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class DoctorOptions:
    """Options of `robot-rl doctor`."""

    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command; exit status 1 when something is broken."""
    options = parse(DoctorOptions, argv, "doctor", "Say what is missing on this machine and how to get it.")
    findings = examine()
    if options.json:
        print_json({"findings": [asdict(f) for f in findings]})
    else:
        marks = {"ok": "[green]ok[/]", "missing": "[yellow]missing[/]", "broken": "[red]broken[/]"}
        table = Table("", "", "", "how to get it", box=None)
        for f in findings:
            table.add_row(Text(f.name), marks[f.state], Text(f.detail), Text(f.remedy))
        Console().print(table)
    return int(any(f.state == "broken" for f in findings))


def examine() -> list[Finding]:
    """Look at everything."""
    checks: list[Callable[[], Finding]] = [_python, _siblings, _rclpy, _launch]
    findings = [check() for check in checks]
    findings += [_package(*row) for row in PACKAGES]
    findings += [_camera_library(*row) for row in CAMERAS]
    findings += [_package(*row) for row in DEVICES]
    findings += _devices()
    findings += [_offscreen(), _shared_memory(), _isolation(), _compiler(), _firmware()]
    return findings


PACKAGES = (
    ("mujoco", "the simulated arm", "pip install 'robot-rl[sim]'"),
    ("pybullet", "the model of the arm, and its second simulator", "pip install 'robot-rl[sim]'"),
    ("imageio_ffmpeg", "videos", "pip install 'robot-rl[sim]'"),
    ("matplotlib", "curves", "pip install 'robot-rl[sim]'"),
    ("jax", "the learner", "pip install 'robot-rl[learn]'"),
    ("tensorboardX", "TensorBoard files", "pip install 'robot-rl[learn]'"),
)
"""Module, what needs it, how to get it."""


def _package(module: str, needed_for: str, remedy: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(module, "missing", f"needed for {needed_for}", remedy)
    return Finding(module, "ok", needed_for)


CAMERAS = (
    ("cv2", "USB cameras and network streams", "apt-get install libgl1 libglib2.0-0"),
    ("pyrealsense2", "RealSense cameras", "apt-get install libusb-1.0-0"),
)
"""Module, what needs it, how to get the system's libraries for it."""


def _camera_library(module: str, needed_for: str, libraries: str) -> Finding:
    finding = _package(module, needed_for, "pip install 'robot-rl[devices]'")
    if finding.state == "ok":
        try:
            importlib.import_module(module)
        except ImportError as error:
            return Finding(module, "missing", f"does not load: {error}", libraries)
    return finding


DEVICES = (
    ("hid", "SpaceMouse", "pip install 'robot-rl[devices]'"),
    ("pygame", "gamepads", "pip install 'robot-rl[devices]'"),
)
"""Module, what needs it, how to get it."""


def _devices() -> list[Finding]:
    """The devices in a person's hand that are connected."""
    found = [
        Finding(f"device {device.name}", "missing" if device.problem else "ok", device.what, device.problem)
        for device in connected_devices()
    ]
    return found or [Finding("devices", "ok", "none connected: the console in the browser is one")]


def _python() -> Finding:
    return Finding("Python", "ok", platform.python_version())


def _siblings() -> Finding:
    try:
        home = check_siblings()
    except SiblingError as error:
        return Finding("packages", "broken", str(error))
    return Finding("packages", "ok", f"all five in {home}")


def _rclpy() -> Finding:
    if importlib.util.find_spec("rclpy") is None:
        remedy = "pip install 'robot-rl[ros]', or source a ROS 2 installation (Jazzy or newer)"
        return Finding("rclpy", "missing", "needed for the ROS 2 graph: demo, up", remedy)
    try:
        for module in ("rclpy", "std_msgs.msg", "geometry_msgs.msg", "sensor_msgs.msg"):
            importlib.import_module(module)
    except ImportError as error:
        remedy = "start Python anew (the libraries' paths are set at start), or reinstall 'robot-rl[ros]'"
        return Finding("rclpy", "missing", f"does not load: {error}", remedy)
    rmw = os.environ.get("RMW_IMPLEMENTATION", "default")
    return Finding("rclpy", "ok", f"the ROS 2 graph; middleware: {rmw}")


def _launch() -> Finding:
    if importlib.util.find_spec("launch_ros") is None:
        detail = "`ros2 launch` needs it; `robot-rl up` starts the same graph without"
        return Finding("ROS 2 launch", "missing", detail, "source a ROS 2 installation (Jazzy or newer)")
    return Finding("ROS 2 launch", "ok", "ros2 launch robot_rl franka_sim.launch.py")


def _offscreen() -> Finding:
    for library, name in (("EGL", "egl"), ("OSMesa", "osmesa")):
        if ctypes.util.find_library(library):
            return Finding("off-screen pictures", "ok", f"MUJOCO_GL={name}")
    return Finding(
        "off-screen pictures",
        "missing",
        "needed for videos without a display",
        "make system-deps, or: apt-get install libegl1 libosmesa6",
    )


def _shared_memory() -> Finding:
    if not SHARED_MEMORY.is_dir():
        return Finding("shared memory", "missing", f"no {SHARED_MEMORY}: ROS 2 uses UDP instead, slower")
    free = shutil.disk_usage(SHARED_MEMORY).free
    left = [p for p in SHARED_MEMORY.iterdir() if p.name.startswith(("fastrtps_", "sem.fastrtps_"))]
    detail = f"{free // 2**20} MiB free, {len(left)} files of ROS 2 processes"
    if free < MINIMUM_SHARED_MEMORY:
        remedy = f"free {SHARED_MEMORY}: rm {SHARED_MEMORY}/*fastrtps_* while no ROS 2 process runs"
        return Finding("shared memory", "missing", detail, remedy)
    return Finding("shared memory", "ok", detail)


def _isolation() -> Finding:
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    if not domain.isdigit() or int(domain) > 101:
        return Finding("ROS_DOMAIN_ID", "broken", f"{domain!r}", "use a number from 0 to 101")
    return Finding("ROS_DOMAIN_ID", "ok", domain)


def _compiler() -> Finding:
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return Finding("C compiler", "ok", path)
    return Finding("C compiler", "missing", "needed to build exported policies", "apt-get install gcc")


def _firmware() -> Finding:
    missing = missing_tools(TARGETS)
    if not missing:
        return Finding("firmware", "ok", "exported policies on a Cortex-M4, under QEMU")
    detail = f"needed to build and fly exported policies: {', '.join(missing)}"
    return Finding("firmware", "missing", detail, install_hint(missing))
