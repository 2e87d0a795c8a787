"""Puts together the messages of one tick.

Messages of different topics overtake each other. The robot's process ends every tick with a manifest that
names, for each topic, the stamp of its newest message (`robot_rl.nodes.messages.Tick`); a tick's inputs are
complete when exactly those messages are there. So two runs act on the same inputs whatever the timing was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from robot_rl.core.errors import ConfigError, nearest
from robot_rl.nodes.messages import Tick

KEPT = 32
"""Messages kept of each topic, by arrival; far more than can be under way."""


class TickInputs:
    """Collects messages by topic and stamp until a tick asks for them."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._messages: dict[str, OrderedDict[int, Any]] = {topic: OrderedDict() for topic in topics}
        self._ticks: list[Tick] = []

    def add_topic(self, topic: str) -> None:
        """Collect another topic's messages too."""
        self._messages.setdefault(topic, OrderedDict())

    def add(self, topic: str, stamp: int, message: Any) -> None:
        """Store a message. One that comes again replaces the first."""
        if topic not in self._messages:
            raise ConfigError(f"not an input: {topic!r}, {nearest(topic, self._messages)}")
        kept = self._messages[topic]
        kept[stamp] = message
        kept.move_to_end(stamp)
        if len(kept) > KEPT:
            kept.popitem(last=False)

    def add_tick(self, tick: Tick) -> None:
        """Store a manifest."""
        self._ticks = [*self._ticks[-KEPT + 1 :], tick]

    def missing(self, tick: Tick) -> list[str]:
        """Topics of `tick`'s manifest whose message is not there yet; those not asked for do not count."""
        return [
            topic
            for topic, stamp in tick.inputs.items()
            if topic in self._messages and stamp not in self._messages[topic]
        ]

    def newest_complete(self) -> Tick | None:
        """The tick that arrived last among those whose inputs are all there; older ones are forgotten."""
        for i in range(len(self._ticks) - 1, -1, -1):
            if not self.missing(self._ticks[i]):
                self._ticks = self._ticks[i:]
                return self._ticks[0]
        return None

    def newest(self) -> Tick | None:
        """The tick that arrived last, complete or not."""
        return self._ticks[-1] if self._ticks else None

    def take(self, tick: Tick) -> Mapping[str, Any]:
        """Topic to message for a complete tick."""
        return {
            topic: self._messages[topic][stamp]
            for topic, stamp in tick.inputs.items()
            if topic in self._messages
        }
