"""Services that do something and answer whether it could be done: at once, or in their turn.

What waits for a device must not keep the node from its other callbacks, an emergency stop among them. So it
is done in a thread of its own, one action after another, while the executor goes on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import cast

from rclpy.executors import Executor
from rclpy.task import Future
from std_srvs.srv import Trigger

from robot_rl.core.errors import RobotRlError

Action = Callable[[], None]
OnTrigger = Callable[[Trigger.Request, Trigger.Response], Trigger.Response]


def answered(action: Action, then: Action = lambda: None) -> OnTrigger:
    """The callback of a service that does this at once, and `then` whatever came of it."""

    def on_call(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        problem = outcome(action)
        then()
        return _answer(response, problem)

    return on_call


def outcome(action: Action) -> str:
    """Do it; why it could not be done, "" when it was."""
    try:
        action()
    except RobotRlError as error:
        return str(error)
    return ""


def _answer(response: Trigger.Response, problem: str) -> Trigger.Response:
    response.success, response.message = not problem, problem
    return response


class OneByOne:
    """Does actions one after another, and answers each when it is done.

    Args:
        executor: Of the services' node.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: queue.SimpleQueue[tuple[Action, Future[str]]] = queue.SimpleQueue()
        # It ends with the process: what it waits for may take longer than the process has.
        threading.Thread(target=self._run, name="services", daemon=True).start()

    def answered(self, action: Action) -> OnTrigger:
        """The callback of a service that does this in its turn."""

        async def on_call(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            done: Future[str] = Future(executor=self._executor)
            self._waiting.put((action, done))
            return _answer(response, str(await done))

        return cast("OnTrigger", on_call)  # rclpy awaits it, which its types do not say

    def _run(self) -> None:
        while True:
            action, done = self._waiting.get()
            done.set_result(outcome(action))
