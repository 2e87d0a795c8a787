"""What the console asks of the robot's graph, so that its pages can be served and tested without ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from robot_rl.core.types import DeviceState

OnAnswer = Callable[[bool, str], None]
"""Called once with whether it was done, and what to say about it; by any thread."""


class Graph(Protocol):
    """The robot's graph, as far as an operator may act on it. The server's thread calls; no call waits."""

    def command(self, who: str, name: str) -> None:
        """Tell the session what to do: one of the commands in `Setup.commands`."""
        ...

    def e_stop(self, reason: str) -> bool:
        """Stop the robot; False when nobody is there to hear it."""
        ...

    def clear_fault(self, on_answer: OnAnswer) -> None:
        """Ask the robot to give control back after a fault."""
        ...

    def send(self, who: str, hands: DeviceState) -> None:
        """Say what the operator's hands do now."""
        ...
