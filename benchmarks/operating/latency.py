"""How long it takes from a hand's motion to a command that moves, and how smoothly control changes hands."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np

from robot_rl.core.frames import conjugate, multiply, rotation_vector
from robot_rl.tasks.arm import ArmTaskConfig

from .graph import Graph
from .hands import Ball, Page

TICK = 0.1
"""Control period of the measured task [s]."""


def first_motion(graph: Graph, start: float, direction: float) -> float:
    """Time from `start` to the first command that moves the target by a millimetre that way along x [s]."""
    commands = graph.heard.commands

    def when() -> float | None:
        recent = commands[-60:]
        for (_, before), (at, after) in itertools.pairwise(recent):
            if at > start and (after.pose.position[0] - before.pose.position[0]) * direction > 1e-3:
                return at
        return None

    return graph.first(when, "a command that moves", 10.0) - start


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
