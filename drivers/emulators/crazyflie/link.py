"""A link that loses and delays packets, the same ones for the same seed."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from robot_rl.core.errors import ConfigError


@dataclass
class LinkConditions:
    """How bad a link is. May be changed while it is in use."""

    loss: float = 0.0
    """Part of the packets that are lost, each way, in [0, 1]."""
    latency: float = 0.0
    """Least delay, each way [s]."""
    jitter: float = 0.0
    """Mean of the exponential delay on top [s]; packets may then overtake each other."""
    dead: bool = False
    """Whether nothing passes at all."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.loss <= 1.0:
            raise ConfigError(f"loss must be in [0, 1], not {self.loss}")
        for name in ("latency", "jitter"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")


class Channel:
    """One direction of a link.

    Args:
        conditions: Shared with the other direction.
        seed: The n-th packet of a channel meets the same fate whenever it comes.
    """

    def __init__(self, conditions: LinkConditions, seed: tuple[int, int]) -> None:
        self.conditions = conditions
        self._rng = np.random.default_rng(seed)
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0

    def put(self, datagram: bytes, now: float) -> None:
        """Send a datagram at the time `now` [s]."""
        lucky, delay = self._rng.random(), self._rng.exponential()
        self._count += 1
        if self.conditions.dead or lucky < self.conditions.loss:
            return
        arrival = now + self.conditions.latency + self.conditions.jitter * delay
        heapq.heappush(self._waiting, (arrival, self._count, datagram))

    @property
    def next_arrival(self) -> float:
        """When the next datagram comes out [s]; infinite for none."""
        return self._waiting[0][0] if self._waiting else math.inf

    def take(self, now: float) -> list[bytes]:
        """The datagrams that have arrived by `now` [s]."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            arrived.append(heapq.heappop(self._waiting)[2])
        return arrived
