"""A simulated marker tracker: measures objects at its own rate, late and with noise."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from robot_rl.core.clock import NANOSECONDS, nanoseconds
from robot_rl.core.frames import multiply, normalise, quaternion_from_rotation_vector
from robot_rl.core.types import Pose, StampedPose
from sim.arm.settings import TrackerConfig

_STREAM = 2
"""Keeps the tracker's random numbers apart from others that come from the same seed."""


class SimulatedTracker:
    """Sees the truth at a fixed rate and hands out what has had the time to arrive.

    The noise of an episode depends on its seed and on the number of the measurement alone, not on when
    somebody reads.
    """

    def __init__(self, config: TrackerConfig, truth: Callable[[], Mapping[str, Pose]]) -> None:
        self.config = config
        self._truth = truth
        self._latency = nanoseconds(config.latency)
        self._pending: deque[tuple[int, int, Mapping[str, Pose]]] = deque()
        self._arrived: tuple[int, int, Mapping[str, Pose]] = (0, 0, {})
        self._measured: tuple[int, Mapping[str, StampedPose]] = (-1, {})
        self._seed = 0
        self._first = 0
        self._count = 0
        self.next_due = 0
        """When the next measurement is due [ns]."""

    def reset(self, seed: int, stamp: int) -> None:
        """Begin an episode at `stamp` [ns], in a scene that has been at rest for a latency and a period."""
        self._seed = seed
        self._measured = (-1, {})
        truth = self._truth()
        # What was measured before the beginning and is still on its way, or has just arrived.
        before = math.ceil(self.config.latency * self.config.rate)
        self._first = stamp - round(before * NANOSECONDS / self.config.rate)
        self._pending = deque((k, self._due(k), truth) for k in range(before + 1))
        self._arrived = self._pending.popleft()
        self._count = before + 1
        self.next_due = self._due(self._count)
        self.observe(stamp)

    def _due(self, number: int) -> int:
        return self._first + round(number * NANOSECONDS / self.config.rate)

    def observe(self, now: int) -> None:
        """Measure when it is time to; call at every tick."""
        if now >= self.next_due:
            self._pending.append((self._count, now, self._truth()))
            while self.next_due <= now:
                self._count += 1
                self.next_due = self._due(self._count)
        while self._pending and self._pending[0][1] + self._latency <= now:
            self._arrived = self._pending.popleft()

    def read(self) -> Mapping[str, StampedPose]:
        """The newest measurement of each object that has arrived."""
        number, stamp, truth = self._arrived
        if self._measured[0] != number:
            rng = np.random.default_rng((self._seed, _STREAM, number))
            measured = {name: StampedPose(stamp, self._disturb(truth[name], rng)) for name in sorted(truth)}
            self._measured = (number, measured)
        return self._measured[1]

    def _disturb(self, pose: Pose, rng: np.random.Generator) -> Pose:
        noise = rng.standard_normal(6)
        turn = quaternion_from_rotation_vector(self.config.rotation_noise * noise[3:])
        return Pose(
            pose.position + self.config.position_noise * noise[:3],
            normalise(multiply(turn, pose.quaternion)),
        )
