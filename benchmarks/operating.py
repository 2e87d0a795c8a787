"""The measurements of benchmarks/operator.py."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from report import Result, result
from std_msgs.msg import String
from websockets.sync.client import ClientConnection, connect

from drivers.emulators.spacenav_daemon import EmulatedSpacenavDaemon
from drivers.teleop.spacenav import FULL_SCALE, MOTION
from robot_rl import tasks
from robot_rl.core.config import replace
from robot_rl.core.frames import conjugate, multiply, rotation_vector
from robot_rl.core.types import Pose, StampedPose
from robot_rl.data.json_messages import ControlChange
from robot_rl.nodes.convert import json_from, pose_from
from robot_rl.nodes.domain import reserved_domain
from robot_rl.nodes.messages import SafetyState
from robot_rl.nodes.qos import LATCHED, STREAM
from robot_rl.nodes.run import prepare
from robot_rl.nodes.supervisor import Supervisor
from robot_rl.nodes.table import GraphOptions, node_table
from robot_rl.tasks.arm import ArmTaskConfig

PATIENCE = 120.0
"""Longest wait for anything [s]."""

TICK = 0.1
"""Control period of the measured task [s]."""

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Heard:
    """What the benchmark's own node hears of a graph, each with its steady time of arrival [s]."""

    commands: list[tuple[float, StampedPose]] = field(default_factory=list)
    """Each with the stamp of the state that it answers."""
    targets: dict[int, Pose] = field(default_factory=dict)
    """Stamp of a state to the target that the controller held then."""
    safety: list[tuple[float, SafetyState]] = field(default_factory=list)
    control: list[tuple[float, ControlChange]] = field(default_factory=list)


class Listener:
    """A node that listens to the commands, the safety state and who is in control."""

    def __init__(self) -> None:
        rclpy.init()
        self.heard = Heard()
        self._node = Node("listener")
        self._executor = EventsExecutor()
        self._executor.add_node(self._node)
        heard = self.heard
        self._listen(PoseStamped, "arm/target_pose", heard.commands, pose_from)
        self._listen(String, "safety/state", heard.safety, lambda m: json_from(SafetyState, m))
        self._listen(
            String, "intervention/control", heard.control, lambda m: json_from(ControlChange, m), LATCHED
        )
        self._node.create_subscription(PoseStamped, "arm/controller_state", self._on_target, STREAM)
        self._ended = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _on_target(self, message: PoseStamped) -> None:
        target = pose_from(message)
        self.heard.targets[target.stamp] = target.pose

    def _listen(
        self, kind: type, topic: str, into: list[Any], read: Callable[[Any], Any], qos: Any = STREAM
    ) -> None:
        def on_message(message: Any) -> None:
            into.append((time.monotonic(), read(message)))

        self._node.create_subscription(kind, topic, on_message, qos)

    def _spin(self) -> None:
        while not self._ended:
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown()


class Page:
    """A browser's page without the browser: the same WebSocket, the same messages, 30 times a second."""

    def __init__(self, port: int, cameras: bool = False) -> None:
        self._socket: ClientConnection = connect(f"ws://127.0.0.1:{port}/ws", max_size=None)
        self._axes = [0.0] * 6
        self._buttons: list[str] = []
        self.pictures = 0
        self._ended = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._read, self._repeat)]
        self._in_control = False
        for thread in self._threads:
            thread.start()
        self._send({"type": "watch", "cameras": cameras})

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._socket.send(json.dumps(message))

    def _read(self) -> None:
        with suppress(Exception):  # the end of the connection, however it came
            for message in self._socket:
                self.pictures += isinstance(message, bytes)

    def _repeat(self) -> None:
        with suppress(Exception):
            while not self._ended:
                if self._in_control:
                    self._hands()
                time.sleep(1 / 30)

    def _hands(self) -> None:
        self._send({"type": "hands", "axes": self._axes, "buttons": self._buttons})

    def control(self, take: bool) -> None:
        """Take the lease, or give it back."""
        self._send({"type": "control", "take": take})
        self._in_control = take

    def hands(self, x: float = 0.0, buttons: tuple[str, ...] = ()) -> float:
        """Hold keys and buttons down from now on; the steady time [s]."""
        self._axes, self._buttons = [x, 0.0, 0.0, 0.0, 0.0, 0.0], list(buttons)
        now = time.monotonic()
        self._hands()
        return now

    def press(self, button: str) -> None:
        """Press a button for a moment."""
        self.hands(buttons=(button,))
        time.sleep(0.05)
        self.hands()

    def command(self, name: str) -> None:
        self._send({"type": "command", "name": name})

    def e_stop(self) -> float:
        """The emergency stop; the steady time [s]."""
        now = time.monotonic()
        self._send({"type": "e_stop"})
        return now

    def clear_fault(self) -> None:
        self._send({"type": "clear_fault"})

    def close(self) -> None:
        self._ended = True
        with suppress(Exception):
            self._socket.close()


class Ball:
    """A 3-D mouse behind spacenavd that says how it is pushed 100 times a second."""

    def __init__(self, path: Path) -> None:
        self.x = 0.0
        """Deflection away from the person, in [-1, 1]."""
        self.moved_at = 0.0
        """Steady time of the first report of the present deflection [s]."""
        self._daemon = EmulatedSpacenavDaemon(path)
        self._ended = False
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def _report(self) -> None:
        told = 0.0
        while not self._ended:
            x = self.x
            with suppress(queue.Empty, OSError):
                self._daemon.send(MOTION, 0, 0, round(FULL_SCALE * x), 0, 0, 0, 10)
                if x != told:
                    told, self.moved_at = x, time.monotonic()
            time.sleep(0.01)

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._daemon.close()


class Graph:
    """A running graph with its console and the benchmark's ears."""

    def __init__(self, supervisor: Supervisor, out: Path, heard: Heard) -> None:
        self.supervisor = supervisor
        self.out = out
        self.heard = heard

    def pid(self, name: str) -> int:
        return self.supervisor.processes[name].popen.pid

    def kill(self, name: str) -> float:
        """Kill a process; the steady time [s]."""
        now = time.monotonic()
        os.kill(self.pid(name), signal.SIGKILL)
        return now

    def wait(self, ready: Callable[[], Any], what: str, timeout: float = PATIENCE) -> None:
        """Wait until `ready()`, starting again what crashes."""
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                logs = "\n".join(p.read_text()[-800:] for p in (self.out / "logs").glob("*.log"))
                raise TimeoutError(f"waited {timeout:g} s for {what}\n{logs}")
            self.supervisor.poll()
            time.sleep(0.002)

    def port(self) -> int:
        """The port that the console serves its page on, once it does."""
        log = self.out / "logs" / "console.log"

        def served() -> str:
            lines = log.read_text().splitlines() if log.exists() else []
            return next((line for line in reversed(lines) if "http://" in line), "")

        self.wait(served, "the console")
        return int(served().split("http://")[1].split("/")[0].rpartition(":")[2])

    def open_page(self, cameras: bool = False) -> Page:
        """A page of the console; waits until it can be had."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return Page(self.port(), cameras)  # another one after each start
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self.supervisor.poll()
                time.sleep(0.05)

    def held_after(self, start: float, faulty: bool = False) -> float:
        """Time from `start` until the arm is said to hold [s]; with `faulty`, by a fault."""
        safety = self.heard.safety

        def when() -> float | None:
            for at, state in reversed(safety[-400:]):
                if at < start or not state.holding or (faulty and not state.fault):
                    break
            for at, state in safety[-400:]:
                if at >= start and state.holding and (state.fault or not faulty):
                    return at
            return None

        self.wait(lambda: when() is not None, "an arm that holds", 5.0)
        held = when()
        assert held is not None
        return held - start

    def get_going(self, page: Page) -> None:
        """Let the policy practise: after a restart the session waits for the operator's start."""
        deadline = time.monotonic() + PATIENCE
        page.control(True)
        while not self.moves():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the arm does not move: see {self.out / 'logs'}")
            page.control(True)
            if self.heard.safety and self.heard.safety[-1][1].fault:
                page.clear_fault()
            page.command("start")
            pause = time.monotonic() + 1.0
            while not self.moves() and time.monotonic() < pause:
                self.supervisor.poll()
                time.sleep(0.01)

    def moves(self) -> bool:
        """Whether the newest safety state has a command in force."""
        return bool(self.heard.safety) and not self.heard.safety[-1][1].holding


@contextmanager
def graph(folder: Path, name: str, config: ArmTaskConfig, **choices: Any) -> Iterator[Graph]:
    """Start a graph on the real clock; stop it at the end."""
    with reserved_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        options = GraphOptions(out=str(folder / name), clock="realtime", console_port=0, **choices)
        variables = {"ROS_DOMAIN_ID": str(domain)}
        out = Path(options.out)
        table = node_table(options, config)
        supervisor = Supervisor(table, out / "logs", prepare(options, config), variables)
        profiles = supervisor.environment.get("FASTDDS_DEFAULT_PROFILES_FILE")
        if profiles:
            os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = profiles
        listener = Listener()
        try:
            supervisor.start()
            yield Graph(supervisor, out, listener.heard)
        finally:
            supervisor.stop()
            listener.close()


def practising(**changes: Any) -> ArmTaskConfig:
    """Picking, practised at once and for long, with nothing in between."""
    quiet = {
        "learner.demonstrations": 0,
        "session.max_steps": 10_000_000,
        "session.evaluate_every": 10_000_000,
        "session.final_episodes": 0,
    }
    return replace(tasks.load("franka_pick_cube"), quiet | changes)


def first_motion(graph: Graph, start: float, direction: float) -> float:
    """Time from `start` to the first command that moves the target by a millimetre that way along x [s]."""
    commands = graph.heard.commands

    def when() -> float | None:
        recent = commands[-60:]
        for (_, before), (at, after) in itertools.pairwise(recent):
            if at > start and (after.pose.position[0] - before.pose.position[0]) * direction > 1e-3:
                return at
        return None

    graph.wait(lambda: when() is not None, "a command that moves", 10.0)
    moved = when()
    assert moved is not None
    return moved - start


def rest(graph: Graph) -> None:
    """Wait until the target stands still, and then for a random part of a tick."""
    commands = graph.heard.commands

    def still() -> bool:
        recent = [command.pose.position for _, command in commands[-3:]]
        return len(recent) == 3 and float(np.ptp(np.array(recent), axis=0).max()) < 1e-4

    graph.wait(still, "a target that stands still", 10.0)
    time.sleep(random.uniform(0.0, TICK))


def key_latencies(graph: Graph, page: Page, trials: int) -> list[float]:
    """From a key on the page to the first command that moves [s]."""
    page.press("take_over")
    latencies = []
    for trial in range(trials):
        rest(graph)
        direction = 1.0 if trial % 2 else -1.0
        latencies.append(first_motion(graph, page.hands(x=direction), direction))
        time.sleep(0.1)
        page.hands()
    page.press("hand_back")
    return latencies


def device_latencies(graph: Graph, device: Ball, trials: int) -> list[float]:
    """From the first report of a device's motion to the first command that moves [s]."""
    latencies = []
    device.x = 0.5
    graph.wait(lambda: graph.heard.control and "spacenav" in graph.heard.control[-1][1].who, "take-over")
    for trial in range(trials):
        device.x = 0.0
        time.sleep(0.25 + random.uniform(0.0, TICK))  # at rest, but not for as long as gives control back
        direction = 1.0 if trial % 2 else -1.0
        device.moved_at, device.x = 0.0, direction
        graph.wait(lambda: device.moved_at > 0.0, "the device's report", 1.0)
        latencies.append(first_motion(graph, device.moved_at, direction))
    device.x = 0.0
    return latencies


def jumps(graph: Graph, page: Page, trials: int, config: ArmTaskConfig) -> list[float]:
    """How far commands around a change of control are from the target then held, over one action's reach."""
    heard, limit = graph.heard, config.action
    heard.control.clear()
    for _ in range(trials):
        time.sleep(random.uniform(0.3, 0.6))
        page.press("take_over")
        page.hands(x=random.choice((-1.0, 1.0)))
        time.sleep(random.uniform(0.2, 0.5))
        page.press("hand_back")
    time.sleep(0.5)
    changed = [at for at, _ in heard.control]
    shares = []
    for at, command in heard.commands:
        held = heard.targets.get(command.stamp)
        if held is not None and any(-TICK < at - change < 2.5 * TICK for change in changed):
            turn = rotation_vector(multiply(command.pose.quaternion, conjugate(held.quaternion)))
            straight = float(np.linalg.norm(command.pose.position - held.position))
            shares.append(
                max(straight / (3**0.5 * limit.linear_scale), float(np.abs(turn).max()) / limit.angular_scale)
            )
    return shares


def stops(graph: Graph, page: Page, trials: int) -> list[float]:
    """From the page's emergency stop to an arm held by a fault [s]."""
    delays = []
    for _ in range(trials):
        graph.get_going(page)
        time.sleep(random.uniform(0.1, 0.3))
        delays.append(graph.held_after(page.e_stop(), faulty=True))
        page.clear_fault()
        graph.wait(lambda: not graph.heard.safety[-1][1].fault, "a cleared fault", 10.0)
    return delays


def ends(graph: Graph, name: str, trials: int) -> list[float]:
    """From the end of a process to an arm that holds [s]."""
    delays = []
    for _ in range(trials):
        page = graph.open_page()
        graph.get_going(page)
        if name in ("console", "intervention"):
            graph.wait(partial(_takes_over, graph, page), "the operator in control")
        time.sleep(random.uniform(0.3, 0.5))
        delays.append(graph.held_after(graph.kill(name)))
        page.close()
        graph.wait(lambda: graph.supervisor.processes[name].popen.poll() is None, f"a new {name}")
        time.sleep(1.5)  # a process counts when it has kept time for a while
    return delays


def _takes_over(graph: Graph, page: Page) -> bool:
    page.press("take_over")
    page.hands(x=0.3)
    time.sleep(0.2)
    control = graph.heard.control
    return bool(control) and control[-1][1].who not in ("policy", "")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def cost(folder: Path, seconds: float, console: bool) -> dict[str, float]:
    """CPU share of the console, pictures a second that a page got, and how punctual the ticks were."""
    steps = round(seconds / TICK)
    quiet = {"session.max_steps": steps, "session.evaluation_episodes": 0, "session.final_episodes": 0}
    quiet |= {"learner.demonstrations": 0, "max_object_age": 5.0}
    config = replace(tasks.load("franka_pick_cube:pixels"), quiet)
    name = f"console-{console}"
    choices: dict[str, Any] = {"task": "franka_pick_cube:pixels", "policy": "random", "person": "none"}
    figures = {}
    with graph(folder, name, config, console=console, **choices) as running:
        page = running.open_page(cameras=True) if console else None
        running.wait(lambda: len(running.heard.commands) > 20, "commands")
        if page is not None:
            pid, began, pictures = running.pid("console"), time.monotonic(), page.pictures
            before = cpu_seconds(pid)
            time.sleep(seconds / 2)
            elapsed = time.monotonic() - began
            figures["share"] = (cpu_seconds(pid) - before) / elapsed
            figures["pictures"] = (page.pictures - pictures) / elapsed
        deadline = time.monotonic() + 3 * seconds + 60
        while not running.supervisor.poll() and time.monotonic() < deadline:
            time.sleep(0.05)
        if page is not None:
            page.close()
    timing = json.loads((running.out / "summary.json").read_text())["realtime"]
    return figures | timing


def soak(folder: Path, minutes: float) -> tuple[int, int]:
    """Faults, and holds for want of a permit, of a training with a scripted person on the real clock."""
    config = replace(tasks.load("franka_pick_cube"), {"session.max_steps": 10_000_000})
    with graph(folder, "soak", config, console=True) as running:
        running.wait(lambda: running.moves(), "an arm that moves")
        page = running.open_page()
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            running.supervisor.poll()
            time.sleep(0.05)
        page.close()
        states = [state for _, state in running.heard.safety]
    faults = sum(b.fault != "" and a.fault == "" for a, b in itertools.pairwise(states))
    return faults, states[-1].denials - states[0].denials


def measure(arguments: argparse.Namespace) -> list[Result]:
    """All figures."""
    quick = arguments.quick
    keys, handovers, halts, kills = (8, 3, 5, 1) if quick else (200, 30, 50, 5)
    minutes = min(arguments.soak, 0.1) if quick else arguments.soak
    rows: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        device = Ball(folder / "spnav.sock")
        os.environ["SPNAV_SOCKET"] = str(folder / "spnav.sock")
        config = practising(**{"teleop.devices": ["console", "spacenav"]})
        with graph(folder, "operator", config, console=True, person="operator") as running:
            page = running.open_page()
            running.get_going(page)
            rows += _latencies("key to command that moves", key_latencies(running, page, keys))
            shares = jumps(running, page, handovers, config)
            page.hands()
            rows += _latencies("device to command that moves", device_latencies(running, device, keys))
            rows.append(
                result(
                    "largest jump at a change of control",
                    max(shares),
                    "of one action",
                    "lower",
                    1.001,
                    trials=len(shares),
                )
            )
            delays = sorted(1e3 * d for d in stops(running, page, halts))
            rows.append(result("e-stop to held, median", delays[len(delays) // 2], "ms", "lower"))
            rows.append(_worst("e-stop to held", delays, 50.0))
            page.close()
            for victim in ("actor", "safety", "intervention", "console"):
                delays = sorted(1e3 * d for d in ends(running, victim, kills))
                rows.append(_worst(f"end of {victim} to held", delays, 200.0))
        device.close()
        del os.environ["SPNAV_SOCKET"]
        seconds = 10.0 if quick else 120.0
        without, beside = cost(folder, seconds, False), cost(folder, seconds, True)
        rows.append(
            result(
                "console, two cameras, one page",
                100 * beside["share"],
                "% of a core",
                "lower",
                35.0,
                pictures_per_second=beside["pictures"],
            )
        )
        for figure in ("late_ticks", "latency_p99_ms"):
            unit = "ticks" if figure == "late_ticks" else "ms"
            what = {"late_ticks": "ticks over 20 ms late", "latency_p99_ms": "tick to command, 99 %"}[figure]
            rows.append(
                result(f"{what}, with the console", beside[figure], unit, "lower", of=beside["ticks"])
            )
            rows.append(result(f"{what}, without", without[figure], unit, "lower", of=without["ticks"]))
        if minutes > 0:
            faults, denied = soak(folder, minutes)
            rows.append(result("stops that nobody asked for", faults, "faults", "lower", 0, minutes=minutes))
            rows.append(result("holds for want of a permit", denied, "holds", "lower", minutes=minutes))
    return rows


def _latencies(what: str, delays: list[float]) -> list[Result]:
    p50, p99 = np.percentile(1e3 * np.array(delays), [50, 99])
    tick = 1e3 * TICK
    return [
        result(f"{what}, median", float(p50), "ms", "lower", tick + 10, trials=len(delays)),
        result(f"{what}, 99 %", float(p99), "ms", "lower", tick + 30, trials=len(delays)),
    ]


def _worst(what: str, delays: list[float], target: float) -> Result:
    """At the 99th percentile, which of less than a hundred is the longest."""
    p99 = float(np.percentile(delays, 99, method="higher"))
    return result(f"{what}, 99 %", p99, "ms", "lower", target, trials=len(delays))
