"""What the graph's nodes warn of, for the operator: commands that change nothing, devices that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from rcl_interfaces.msg import Log
from rclpy.node import Node

from robot_rl.nodes.qos import keep_last
from robot_rl.nodes.tap import Tap

TOPIC = "/rosout"

WARN = 30
"""`Log.WARN`, which the message's own constant has as a byte."""

WARNINGS = keep_last(32)
"""Of these the page shows few; what overflows is in the log files."""

APART = 1.0
"""Time between two that are shown [s]."""

AGAIN = 20.0
"""One that begins like another is not shown within this time after it [s]."""

ALIKE = 24
"""Two messages of a node whose first characters are equal say the same, with other figures [characters]."""


class ConsoleLog:
    """Shows warnings and errors of all nodes, not too many of them.

    Args:
        node: Nobody may spin it.
        show: Takes a line.
        own: Name of the node whose warnings the pages know already.
    """

    def __init__(self, node: Node, show: Callable[[str], None], own: str) -> None:
        self._tap = Tap(node, Log, TOPIC, WARNINGS)
        self._show = show
        self._own = own
        self._due = 0.0
        self._shown: dict[tuple[str, str], float] = {}

    def look(self) -> None:
        """Show what is new; to be called again and again."""
        now = time.monotonic()
        for message in self._tap.take():
            if message.level >= WARN and message.name != self._own and now >= self._due:
                self._note(message, now)

    def _note(self, message: Log, now: float) -> None:
        kind = message.name, message.msg[:ALIKE]
        if now >= self._shown.get(kind, 0.0):
            self._shown = {k: until for k, until in self._shown.items() if until > now} | {kind: now + AGAIN}
            self._due = now + APART
            self._show(f"{message.name}: {message.msg}")
