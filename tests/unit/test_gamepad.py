"""Gamepads that come and go, two of them, and a long session."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from drivers.emulators.virtual_gamepad import VirtualGamepad
from drivers.teleop.connected import connected_devices
from drivers.teleop.gamepad import Gamepad, controller
from robot_rl.core.clock import ManualClock, nanoseconds
from robot_rl.core.errors import DeviceError

LEFT_Y, LEFT_TRIGGER, RIGHT_TRIGGER = 1, 4, 5


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(nanoseconds(1000.0))


def wait(clock: ManualClock, duration: float) -> None:
    clock.advance_to(clock.now() + nanoseconds(duration))


def test_two_at_once_never_swap_hands(clock: ManualClock) -> None:
    pads = [VirtualGamepad(), VirtualGamepad()]
    left, right = Gamepad(0, clock=clock.now), Gamepad(1, clock=clock.now)
    try:
        pads[0].set_axis(LEFT_Y, -32768)
        pads[1].set_axis(LEFT_Y, 32767)
        assert left.read().axes[0] == 1.0
        assert right.read().axes[0] == -1.0
        pads[0].unplug()
        for _ in range(3):
            with pytest.raises(DeviceError, match="gamepad"):
                left.read()
            wait(clock, 0.6)
            assert right.read().axes[0] == -1.0
        pads.append(VirtualGamepad())
        wait(clock, 0.6)
        assert not left.read().axes.any()
        assert right.read().axes[0] == -1.0
    finally:
        left.close()
        right.close()
        for pad in pads:
            pad.unplug()


def test_triggers_work_against_each_other(clock: ManualClock) -> None:
    pad = VirtualGamepad()
    device = Gamepad(clock=clock.now)
    try:
        pad.set_axis(LEFT_TRIGGER, 32767)
        assert device.read().axes[2] == -1.0
        pad.set_axis(RIGHT_TRIGGER, 32767)
        assert device.read().axes[2] == 0.0
        pad.set_axis(LEFT_TRIGGER, -32768)
        assert device.read().axes[2] == 1.0
    finally:
        device.close()
        pad.unplug()


def test_a_session_that_is_longer_than_the_queue_of_events(clock: ManualClock) -> None:
    pad = VirtualGamepad()
    device = Gamepad(clock=clock.now)
    try:
        device.read()
        for n in range(70_000):  # SDL keeps 65,535 events that nobody asks for
            pad.set_axis(LEFT_Y, n % 1000)
            controller.update()
        pad.set_axis(LEFT_Y, -32768)
        assert device.read().axes[0] == 1.0
        pad.unplug()
        with pytest.raises(DeviceError, match="unplugged"):
            device.read()
    finally:
        device.close()
        pad.unplug()


def test_says_how_many_are_connected() -> None:
    with pytest.raises(DeviceError, match="gamepad:3 is not there: 0 gamepads"):
        Gamepad(3).read()


def test_the_process_still_ends_when_it_is_asked_to() -> None:
    code = "import time, drivers.teleop.gamepad as g; g.gamepad_names(); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        process.terminate()
        assert process.wait(20.0) == -signal.SIGTERM


def test_a_connected_one_is_listed_by_the_name_that_opens_it() -> None:
    pad = VirtualGamepad()
    try:
        assert [device.name for device in connected_devices() if device.what == "Virtual Controller"] == [
            "gamepad"
        ]
    finally:
        pad.unplug()
    assert "gamepad" not in [device.name for device in connected_devices()]
