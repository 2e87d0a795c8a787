"""The devices on the real libraries, each with an emulated device, against the suite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.emulators.hid_mouse import (
    COMPACT,
    ENTERPRISE,
    RECEIVER,
    WIRELESS,
    EmulatedHidBus,
    EmulatedSpaceMouse,
)
from drivers.emulators.virtual_gamepad import HIGHEST, VirtualGamepad
from drivers.teleop.gamepad import BUTTON_WORDS, Gamepad
from drivers.teleop.keyboard import Keyboard
from drivers.teleop.spacemouse import ALL_BUTTONS, SpaceMouse
from drivers.teleop.spacenav import SpaceNav
from robot_rl.core.clock import ManualClock, nanoseconds
from tests.conformance.device_sources import SpacenavDaemon, Typist
from tests.conformance.input_device import DeviceBench, InputDeviceSuite


def manual_clock() -> ManualClock:
    return ManualClock(nanoseconds(1000.0))


class TestSpaceMouse(InputDeviceSuite):
    @pytest.fixture(params=[COMPACT, WIRELESS, ENTERPRISE, RECEIVER])
    def bench(self, request: pytest.FixtureRequest) -> Iterator[DeviceBench]:
        clock = manual_clock()
        mouse = EmulatedSpaceMouse("/dev/hidraw0", request.param, clock.now)
        bus = EmulatedHidBus(mouse)
        numbers = {word: button for button, word in ALL_BUTTONS.items()}
        device = SpaceMouse(transport=bus, clock=clock.now)

        def plug_in() -> None:
            mouse.deflect(np.zeros(6))
            bus.plug_in(mouse)

        yield DeviceBench(
            device,
            mouse.deflect,
            lambda word: mouse.press([numbers[word]] if word else []),
            lambda: bus.unplug(mouse),
            plug_in,
            clock.now,
            lambda duration: clock.advance_to(clock.now() + nanoseconds(duration)),
        )
        device.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpacenavDaemon]:
    daemon = SpacenavDaemon(tmp_path_factory.mktemp("spacenav"))
    yield daemon
    daemon.stop()


class TestSpaceNav(InputDeviceSuite):
    """The real daemon, at its own pace."""

    @pytest.fixture
    def bench(self, daemon: SpacenavDaemon) -> Iterator[DeviceBench]:
        daemon.ball.deflect(np.zeros(6))
        daemon.ball.press([])
        device = SpaceNav(str(daemon.socket))
        device.read()  # the daemon tells of changes only, and not of those before
        yield DeviceBench(
            device,
            lambda axes: daemon.ball.deflect(axes),
            lambda word: daemon.ball.press([{"toggle": 0, "take_over": 1}[word]] if word else []),
            daemon.stop,
            daemon.start,
            time.monotonic_ns,
            time.sleep,
        )
        device.close()


class TestGamepad(InputDeviceSuite):
    @pytest.fixture
    def bench(self) -> Iterator[DeviceBench]:
        clock = manual_clock()
        pads = [VirtualGamepad()]
        device = Gamepad(clock=clock.now)

        def deflect(axes: np.ndarray) -> None:
            x, y, z, roll, pitch, yaw = axes
            pad = pads[-1]
            for stick, value in enumerate((-y, -x, -yaw, -pitch)):
                pad.set_axis(stick, round(HIGHEST * value))
            for trigger, value in ((4, -z), (5, z)):
                pad.set_axis(trigger, round(HIGHEST * (2.0 * max(0.0, value) - 1.0)))
            pad.set_button(13, roll < 0.0)
            pad.set_button(14, roll > 0.0)

        def press(word: str) -> None:
            for button, meaning in BUTTON_WORDS.items():
                pads[-1].set_button(button, meaning == word)

        yield DeviceBench(
            device,
            deflect,
            press,
            lambda: pads[-1].unplug(),
            lambda: pads.append(VirtualGamepad()),
            clock.now,
            lambda duration: clock.advance_to(clock.now() + nanoseconds(duration)),
        )
        device.close()
        pads[-1].unplug()


class TestKeyboard(InputDeviceSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[DeviceBench]:
        clock = manual_clock()
        typist = Typist(tmp_path / "tty")
        device = Keyboard(str(typist.path), clock.now)
        device.read()  # what is typed before it is opened is meant for somebody else

        def wait(duration: float) -> None:
            clock.advance_to(clock.now() + nanoseconds(duration))

        def deflect(axes: np.ndarray) -> None:
            wait(0.2)  # keys that were pressed before are up again
            typist.deflect(axes)

        yield DeviceBench(
            device,
            deflect,
            lambda word: typist.press(word),
            typist.hang_up,
            typist.open,
            clock.now,
            wait,
            lets_go=False,
        )
        device.close()
        typist.hang_up()
