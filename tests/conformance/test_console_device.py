"""The operator's page, as a device behind a ROS topic, conforms like those that are plugged in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy")

from std_msgs.msg import String

from robot_rl.nodes.convert import json_message
from robot_rl.nodes.messages import OperatorInput
from robot_rl.nodes.operator_device import ConsoleDevice
from tests.conformance.input_device import DeviceBench, InputDeviceSuite
from tests.ros.benches import Bench
from tests.unit.teleop_samples import Time

pytestmark = pytest.mark.ros


class Page:
    """A browser that says what its hands do whenever they do something, and as time passes."""

    def __init__(self, ros: Bench) -> None:
        self.time = Time()
        self.device = ConsoleDevice(ros.node, self._count, clock=self.time)
        self._ros = ros
        self._sent, self._heard = 0, 0
        self._axes, self._button, self._open = np.zeros(6), "", True
        self._publish = ros.publisher("operator/input", String)
        self._say()

    def _count(self) -> None:
        self._heard += 1

    def _say(self) -> None:
        if self._open:
            self._sent += 1
            x, y, z, rx, ry, rz = self._axes.tolist()
            hands = OperatorInput("anna", self._sent, x, y, z, rx, ry, rz, self._button)
            self._publish(json_message(hands))
            self._ros.wait(lambda: self._heard == self._sent)

    def deflect(self, axes: np.ndarray) -> None:
        self._axes = axes
        self._say()

    def press(self, word: str) -> None:
        self._button = word
        self._say()

    def wait(self, duration: float) -> None:
        self.time.pass_by(duration)
        self._say()

    def close(self) -> None:
        self._open = False

    def open(self) -> None:
        self._open, self._axes = True, np.zeros(6)
        self._say()


class TestConsoleDevice(InputDeviceSuite):
    @pytest.fixture
    def bench(self) -> Iterator[DeviceBench]:
        ros = Bench()
        page = Page(ros)
        yield DeviceBench(
            page.device, page.deflect, page.press, page.close, page.open, page.time, page.wait, heard_of=True
        )
        page.device.close()
        ros.close()
