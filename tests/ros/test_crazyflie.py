"""The Crazyflie's processes: the simulated vehicle behind its protocol, the driver, and the launch file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import String
from std_srvs.srv import Trigger

pytest.importorskip("cflib")

from calibration.flight_log import read_flight_log
from robot_rl.core.errors import CodecError, ConfigError
from robot_rl.core.types import Pose
from robot_rl.nodes.convert import json_from
from robot_rl.nodes.crazyflie_convert import CrazyflieStatus, pose_in_world, world_pose
from robot_rl.nodes.crazyflie_table import CrazyflieOptions, crazyflie_table
from robot_rl.nodes.exit_status import STOPPED, USER_ERROR
from robot_rl.nodes.qos import LATCHED
from robot_rl.nodes.simulated_crazyflie import SimulatedVehicle
from robot_rl.nodes.supervisor import Supervisor, priority
from robot_rl.nodes.table import command
from sim.quadrotor.parameters import SETS
from tests.ros.graphs import PATIENCE
from tests.ros.launch_standin import launched
from tests.ros.probe import Probe, probing
from tests.ros.test_launch import HAS_LAUNCH, LAUNCH, as_command

FILE = Path(__file__).resolve().parents[2] / "launch" / "crazyflie.launch.py"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "crazyflie_square.py"

PATIENT = """
crazyflie:
  ros__parameters:
    device.state_timeout: 3.0
    device.link_timeout: 3.0
    device.connect_timeout: 60.0
"""
"""Times that a busy machine does not exceed."""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Graph:
    """A running graph, as a probe looks after it."""

    def __init__(self, folder: Path, options: CrazyflieOptions, text: str) -> None:
        settings = folder / "settings.yaml"
        settings.write_text(text)
        table = crazyflie_table(options)
        self.supervisor = Supervisor(table, folder, settings)
        self.folder = folder

    def check(self) -> None:
        self.supervisor.poll()

    def all_logs(self) -> str:
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))


@contextmanager
def flying(folder: Path, settings: str = PATIENT, **options: object) -> Iterator[Probe]:
    chosen = CrazyflieOptions(port=free_port(), **options)  # type: ignore[arg-type]
    graph = Graph(folder, chosen, settings)
    try:
        graph.supervisor.start()
        with probing(graph) as probe:
            for topic, kind in (("pose", PoseStamped), ("twist", TwistStamped)):
                probe.listen(topic, kind)
            probe.listen("state", String, LATCHED)
            probe.wait(lambda: "pose" in probe.newest and "state" in probe.newest)
            yield probe
    finally:
        graph.supervisor.stop()
    assert "Traceback" not in graph.all_logs()


def place(probe: Probe) -> np.ndarray:
    return pose_in_world(probe.newest["pose"]).position  # type: ignore[arg-type]


def status(probe: Probe) -> CrazyflieStatus:
    return json_from(CrazyflieStatus, probe.newest["state"])  # type: ignore[arg-type]


def test_it_flies_through_topics_and_services(tmp_path: Path) -> None:
    log = tmp_path / "flight.csv"
    with flying(tmp_path, flight_log=str(log)) as probe:
        assert probe.call("arm").success
        assert probe.call("take_off").success
        probe.wait(lambda: place(probe)[2] > 0.45)
        assert "flying" in status(probe).flags
        setpoint = probe.publisher("setpoint", PoseStamped)
        goal = Pose(np.array([0.3, -0.2, 0.7]), np.array([0.0, 0, 0, 1]))

        def follow() -> bool:
            setpoint.publish(world_pose(0, goal))
            return bool(np.abs(place(probe) - goal.position).max() < 0.05)

        probe.wait(follow)
        velocity = probe.publisher("setpoint/velocity", TwistStamped)
        message = TwistStamped()
        message.header.frame_id = "body"
        velocity.publish(message)
        probe.wait(lambda: "frame 'body'" in status(probe).refused)
        message.header.frame_id = "world"
        message.twist.linear.y = 0.3

        def push() -> bool:
            velocity.publish(message)
            return probe.newest["twist"].twist.linear.y > 0.2  # type: ignore[attr-defined]

        probe.wait(push)
        assert not status(probe).refused
        assert probe.call("land").success
        probe.wait(lambda: place(probe)[2] < 0.01)
        assert not status(probe).fault
        flight = read_flight_log(log)  # while it is still written
    assert flight.voltage is not None
    assert 3.7 < flight.voltage.min() < flight.voltage.max() < 4.2
    assert flight.lift[flight.motors.min(1) > 0.3].mean() == pytest.approx(9.8, abs=1.0)


def test_the_example_flies_a_square_and_lands(tmp_path: Path) -> None:
    with flying(tmp_path):
        words = [sys.executable, str(EXAMPLE), "--side", "0.3", "--seconds", "0.5"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cm off") == 4
    assert "landed at 0.0" in done.stdout


def test_poses_from_outside_and_the_emergency_stop(tmp_path: Path) -> None:
    """The simulator's true pose stands in for a motion capture system."""
    with flying(tmp_path, positioning="external") as probe:
        probe.wait(lambda: status(probe).deviation < 0.01)
        assert probe.call("arm").success
        assert probe.call("take_off").success
        probe.wait(lambda: place(probe)[2] > 0.3)
        assert probe.call("safety/e_stop").success
        probe.wait(lambda: "locked" in status(probe).flags)
        assert status(probe).fault == "emergency stop"
        answer = probe.call("take_off")
        assert not answer.success
        assert "emergency stop" in answer.message
        answer = probe.call("safety/clear_fault")
        assert "switch it off and on" in answer.message


def test_an_emergency_stop_does_not_wait_for_a_vehicle_that_is_silent(tmp_path: Path) -> None:
    """Its process has stopped: nothing answers, and the fault of a lost link is far away."""
    settings = "device.link_timeout: 3.0", "device.link_timeout: 60.0"
    with flying(tmp_path, PATIENT.replace(*settings)) as probe:
        graph = probe.graph
        assert isinstance(graph, Graph)
        vehicle = graph.supervisor.processes["vehicle"].popen
        vehicle.send_signal(signal.SIGSTOP)
        try:
            landing = probe.node.create_client(Trigger, "land").call_async(Trigger.Request())
            assert probe.call("safety/e_stop").success
            assert not landing.done()
            probe.wait(lambda: status(probe).fault == "emergency stop")
            probe.wait(landing.done)
            answer = landing.result()
            assert answer is not None
            assert "emergency stop" in answer.message
        finally:
            vehicle.send_signal(signal.SIGCONT)
        probe.wait(lambda: "locked" in status(probe).flags)


def test_robot_rl_up_starts_it_until_it_is_interrupted(tmp_path: Path) -> None:
    out, settings = tmp_path / "run", tmp_path / "settings.yaml"
    settings.write_text(PATIENT)
    words = ["--port", str(free_port()), "--out", str(out), "--config", str(settings)]
    with (tmp_path / "said").open("w") as said:
        up = [sys.executable, "-m", "robot_rl", "up", "crazyflie", *words]
        process = subprocess.Popen(up, stdout=said, stderr=subprocess.STDOUT)
    graph = Command(process, tmp_path / "said")
    try:
        with probing(graph) as probe:
            probe.listen("pose", PoseStamped)
            assert probe.call("arm").success
            assert probe.call("take_off").success
            probe.wait(lambda: "pose" in probe.newest and place(probe)[2] > 0.45)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in graph.all_logs()
    assert "it lands before this process ends" in graph.all_logs()
    flight = read_flight_log(out / "flight.csv")
    assert flight.motors.max() > 0.5
    assert not flight.motors[-1].any()


def test_an_emergency_stop_is_heard_while_it_lands_and_ends(tmp_path: Path) -> None:
    with flying(tmp_path) as probe:
        graph = probe.graph
        assert isinstance(graph, Graph)
        assert probe.call("arm").success
        assert probe.call("take_off").success
        probe.wait(lambda: place(probe)[2] > 0.45)
        stop = probe.node.create_client(Trigger, "safety/e_stop")
        assert stop.wait_for_service(timeout_sec=PATIENCE)
        driver = graph.supervisor.processes["crazyflie"].popen
        driver.terminate()
        probe.wait(lambda: "it lands before this process ends" in graph.all_logs())
        asked = stop.call_async(Trigger.Request())
        probe.wait(asked.done)
        answer = asked.result()
        assert answer is not None
        assert answer.success
        assert driver.wait(PATIENCE) == STOPPED


@dataclass
class Command:
    """A command of which a probe looks after."""

    process: subprocess.Popen[bytes]
    said: Path

    def check(self) -> None:
        assert self.process.poll() is None, self.all_logs()

    def all_logs(self) -> str:
        return self.said.read_text()


@pytest.mark.skipif(not HAS_LAUNCH, reason="ROS's launch is not installed")
def test_ros_launches_it_and_lands_it(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(PATIENT)
    log = tmp_path / "flight.csv"
    arguments = [f"port:={free_port()}", f"config:={settings}", f"flight_log:={log}"]
    with (tmp_path / "said").open("w") as said:
        words = [sys.executable, "-c", LAUNCH, str(FILE), *arguments]
        process = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
    graph = Command(process, tmp_path / "said")
    try:
        with probing(graph) as probe:
            probe.listen("pose", PoseStamped)
            assert probe.call("arm").success
            assert probe.call("take_off").success
            probe.wait(lambda: "pose" in probe.newest and place(probe)[2] > 0.45)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "Traceback" not in graph.all_logs()
    assert graph.all_logs().count("process has finished cleanly") == 2
    assert not read_flight_log(log).motors[-1].any()


def test_the_launch_file_starts_the_same(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(PATIENT)
    for arguments, options in (
        ({}, {}),
        ({"uri": "radio://0/80/2M/E7E7E7E7E7"}, {"uri": "radio://0/80/2M/E7E7E7E7E7"}),
        ({"positioning": "external", "seed": "3"}, {"positioning": "external", "seed": 3}),
        ({"vehicle": "l2f-2", "loss": "0.3"}, {"vehicle": "l2f-2", "loss": 0.3}),
    ):
        nodes = launched(FILE, config=str(settings), **arguments)
        table = crazyflie_table(CrazyflieOptions(**options))  # type: ignore[arg-type]
        assert [as_command(node) for node in nodes] == [command(e, settings) for e in table]
        assert [(node.prefix or "").split() for node in nodes] == [priority(entry) for entry in table]
        assert all(node.on_exit is not None for node in nodes)
    assert len(launched(FILE)) == 2
    assert len(launched(FILE, uri="usb://0")) == 1


def test_what_cannot_be_reached_is_told(tmp_path: Path) -> None:
    words = ["-p", f"device.uri:=udp://127.0.0.1:{free_port()}", "-p", "device.connect_timeout:=1.0"]
    node = [sys.executable, "-m", "robot_rl.nodes.crazyflie_process", "--ros-args", *words]
    done = subprocess.run(node, capture_output=True, text=True, timeout=60)
    assert done.returncode == USER_ERROR
    assert "no Crazyflie has answered" in done.stderr
    with pytest.raises(ConfigError, match="uri 'nonsense'"):
        CrazyflieOptions(uri="nonsense")
    with pytest.raises(ConfigError, match="loss must be in"):
        CrazyflieOptions(loss=2.0)
    with pytest.raises(ConfigError, match="did you mean 'l2f-2'"):
        CrazyflieOptions(vehicle="l2f2")


def test_poses_in_other_frames_are_refused() -> None:
    message = world_pose(0, Pose(np.zeros(3), np.array([0.0, 0, 0, 1])))
    message.pose.orientation.w = 0.0
    with pytest.raises(CodecError, match="not a rotation"):
        pose_in_world(message)
    message.header.frame_id = "map"
    with pytest.raises(CodecError, match="use 'world'"):
        pose_in_world(message)


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_parameter_set_flies(name: str) -> None:
    """The firmware's controller, with the simulator's vehicle, from the floor and back."""
    import struct

    from drivers.emulators.crazyflie.crtp import Packet, Port
    from drivers.emulators.crazyflie.firmware import STEP, EmulatedCrazyflie
    from robot_rl.nodes.simulated_crazyflie import airframe_of

    crazyflie = EmulatedCrazyflie(airframe_of(SETS[name]), SimulatedVehicle(SETS[name]))

    def fly(duration: float) -> None:
        for step in range(round(duration / STEP)):
            if step % 50 == 0:
                crazyflie.receive(Packet(Port.LINK, 0, b"\0"))
            crazyflie.advance()

    fly(0.1)
    crazyflie.receive(Packet(Port.SUPERVISOR, 1, b"\x01\x01"))
    crazyflie.receive(Packet(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, 0.5, 0.0, False, 1.5)))
    fly(3.0)
    assert crazyflie.truth.position == pytest.approx([0, 0, 0.5], abs=0.03)
    crazyflie.receive(Packet(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 8, 0, 0.0, 0.0, False, 2.0)))
    fly(3.0)
    assert crazyflie.truth.position[2] == 0.0
