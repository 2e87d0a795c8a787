"""How every process of the graph runs: one events executor, one loop, one way to end.

`EventsExecutor` takes a third of the CPU of rclpy's default executor, but its `spin()` never returns, so all
loops call `spin_once`. Callbacks only store what they get; errors are raised in the loop, where they can be
told to the user in one line.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import rclpy
from rclpy.executors import Executor
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from robot_rl.core.errors import LockstepStalledError, RobotRlError
from robot_rl.core.siblings import check_siblings
from robot_rl.nodes.exit_status import STOPPED, SUPERVISOR_VARIABLE, USER_ERROR
from robot_rl.nodes.heartbeat import Heartbeats

LONGEST_SPIN = 0.05
"""Signals are seen at least this often [s]."""

QUIET = 0.15
"""At its end, a process that has heard nothing for this long has heard all [s]."""


class Stopped(Exception):  # noqa: N818 - the ordinary end of a node, not an error
    """The process was asked to end."""


class StopFlag:
    """Set by SIGINT or SIGTERM. Asking twice changes nothing, and no code is interrupted half-way.

    Args:
        process: Whom it ends: the process, as the node table calls it; "" for one outside the graph.
    """

    def __init__(self, process: str = "") -> None:
        self.process = process
        self.requested = False

    def install(self) -> None:
        """Listen to the signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def collect_garbage_only_when_told() -> None:
    """Keep Python's garbage collector out of a control loop, where a full collection takes tens of ms.

    The loop calls `collect_garbage` where it has time, at resets.
    """
    gc.disable()
    collect_garbage()


def collect_garbage() -> None:
    """Collect, and never look again at what has survived."""
    gc.collect()
    gc.freeze()


class Spinner:
    """The loop of a process: spins its nodes until something has happened, and sends its heartbeats."""

    def __init__(self, stop: StopFlag, *nodes: Node) -> None:
        self.stop = stop
        self.nodes = nodes
        self.heartbeats = Heartbeats(nodes[0], stop.process) if stop.process else None
        self.executor: Executor = EventsExecutor()
        for node in nodes:
            self.executor.add_node(node)

    def spin_once(self, timeout: float = LONGEST_SPIN) -> None:
        """Run one callback, or return after `timeout` [s]; `Stopped` when the process shall end."""
        if self.stop.requested or not rclpy.ok():
            raise Stopped
        longest = min(timeout, LONGEST_SPIN)
        if self.heartbeats is not None:
            now = time.monotonic()
            self.heartbeats.beat(now)
            longest = min(longest, self.heartbeats.due - now)
        self.executor.spin_once(timeout_sec=max(longest, 0.0))

    def spin_until(self, deadline: float) -> None:
        """Run callbacks until `time.monotonic()` reaches `deadline` [s]."""
        while (left := deadline - time.monotonic()) > 0:
            self.spin_once(left)

    def turns(self, period: float) -> Iterator[float]:
        """Run callbacks for ever, and every `period` [s] hand over `time.monotonic()` [s].

        A turn that is late moves those after it.
        """
        due = time.monotonic()
        while True:
            self.spin_once(0.0)  # one that is behind still hears a stop
            self.spin_until(due)
            due = max(due, time.monotonic())
            yield due
            due += period

    def spin_out(self, progress: Callable[[], int], longest: float) -> None:
        """Run the callbacks that are left after the process was asked to end.

        Args:
            progress: Counts what matters of what is received; when it stands still for `QUIET`, that was all.
            longest: Never longer than this [s].
        """
        heard_at = time.monotonic()
        deadline, before = heard_at + longest, progress()
        while (now := time.monotonic()) < min(deadline, heard_at + QUIET):
            self.executor.spin_once(timeout_sec=LONGEST_SPIN)
            if progress() != before:
                heard_at, before = now, progress()

    def wait(
        self,
        ready: Callable[[], bool],
        missing: Callable[[], str],
        timeout: float,
        retry: Callable[[], None] | None = None,
        retry_period: float = 0.5,
    ) -> None:
        """Spin until `ready()`.

        Args:
            ready: Asked after every callback.
            missing: Names the peer and the topic that are waited for.
            timeout: After this long [s] a `LockstepStalledError` tells what `missing` says.
            retry: Called now and then while waiting: sends again what a restarted peer may have missed.
            retry_period: Time between two such calls [s].
        """
        if ready():
            return
        start = time.monotonic()
        next_retry = start + retry_period
        while not ready():
            self.spin_once(LONGEST_SPIN)
            now = time.monotonic()
            if now - start > timeout and not ready():
                raise LockstepStalledError(f"waited {timeout:g} s for {missing()}")
            if retry is not None and now >= next_retry:
                retry()
                next_retry = now + retry_period

    def say_goodbye(self) -> None:
        """Tell the safety process not to wait for this one, if it was asked to end.

        Only for a process that a person may end while the arm moves, such as a console.
        """
        if self.stop.requested and self.heartbeats is not None:
            self.heartbeats.say_goodbye()

    def close(self) -> None:
        """Let go of the executor and destroy the nodes."""
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()


def follow_supervisor() -> None:
    """End with the supervisor that started this process, even when it is killed (Linux).

    Raises:
        Stopped: It is gone already.
    """
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)
    if supervisor is None or not sys.platform.startswith("linux"):
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != int(supervisor):
        raise Stopped


def run(name: str, body: Callable[[StopFlag], None], argv: Sequence[str] | None = None) -> int:
    """The `main` of every node: run `body` until it returns or a signal comes.

    Args:
        name: Of the process, as the node table calls it; put before an error's message.
        body: Makes the nodes and spins them.
        argv: Command line with `--ros-args`; None for this process's.

    Returns:
        The exit status: 0 at the end of the work, `USER_ERROR` after a `RobotRlError`, and on a signal 0 or,
        under a supervisor, `STOPPED`.
    """
    stop = StopFlag(name)
    stop.install()
    status = 0
    try:
        follow_supervisor()
        check_siblings()
        rclpy.init(
            args=list(argv) if argv is not None else None, signal_handler_options=SignalHandlerOptions.NO
        )
        body(stop)
    except Stopped:
        status = STOPPED if SUPERVISOR_VARIABLE in os.environ else 0
    except RobotRlError as error:
        sys.stderr.write(f"{name}: {error}\n")
        status = USER_ERROR
    finally:
        rclpy.try_shutdown()
    return status
