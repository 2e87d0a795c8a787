"""Does the newest of what it is asked to do, in a thread of its own. Imports no ROS.

What is sent over a bad link may take seconds. Done in the executor, a queue of old setpoints would keep an
emergency stop waiting; done here, it waits for nothing, and what was overtaken by a newer wish is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from robot_rl.core.errors import RobotRlError

Action = Callable[[], None]


class NewestAction:
    """Does actions of several kinds, of each kind the newest.

    Args:
        what: It does, for the error when it has ended.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._changed = threading.Condition()
        self._waiting: dict[str, Action] = {}
        # It ends with the process: what it waits for may take longer than the process has.
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)
        self._thread.start()

    def put(self, kind: str, action: Action) -> None:
        """Have this done as soon as possible, in place of what was to be done of this kind."""
        with self._changed:
            self._waiting[kind] = action
            self._changed.notify()

    def check(self) -> None:
        """Raise `RobotRlError` when nothing is done any more: an action has failed."""
        if not self._thread.is_alive():
            raise RobotRlError(f"{self._what} has failed and ended: see the log")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                kind = next(iter(self._waiting))
                action = self._waiting.pop(kind)
            action()
