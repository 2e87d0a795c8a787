"""A node of the test inside a running graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from robot_rl.nodes import convert
from robot_rl.nodes.messages import SafetyState, Tick
from robot_rl.nodes.qos import STREAM
from tests.ros.graphs import PATIENCE


class Watched(Protocol):
    """What a probe looks after while it waits."""

    def check(self) -> object:
        """Raise when it has failed."""
        ...

    def all_logs(self) -> str: ...


class Probe:
    """A node of the test, which keeps the newest message of each topic that it listens to."""

    def __init__(self, graph: Watched) -> None:
        rclpy.init()
        self.graph = graph
        self.node = Node("probe")
        self.executor = EventsExecutor()
        self.executor.add_node(self.node)
        self.newest: dict[str, Any] = {}

    def listen(self, topic: str, kind: type, qos=STREAM) -> None:
        self.node.create_subscription(kind, topic, lambda m: self.newest.__setitem__(topic, m), qos)

    def publisher(self, topic: str, kind: type, qos=STREAM):
        publisher = self.node.create_publisher(kind, topic, qos)
        self.wait(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def wait(self, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, f"nothing came; the logs say\n{self.graph.all_logs()}"
            self.graph.check()
            self.executor.spin_once(timeout_sec=0.05)

    def call(self, service: str) -> Trigger.Response:
        client = self.node.create_client(Trigger, service)
        assert client.wait_for_service(timeout_sec=PATIENCE)
        answer = client.call_async(Trigger.Request())
        self.wait(answer.done)
        result = answer.result()
        assert result is not None
        return result

    def tick(self) -> Tick | None:
        message = self.newest.get("sync/tick")
        return None if message is None else convert.json_from(Tick, message)

    def fault(self) -> str:
        message = self.newest.get("safety/state")
        return "" if message is None else convert.json_from(SafetyState, message).fault


@contextmanager
def probing(graph: Watched) -> Iterator[Probe]:
    probe = Probe(graph)
    try:
        yield probe
    finally:
        probe.executor.shutdown()
        probe.node.destroy_node()
        rclpy.shutdown()
