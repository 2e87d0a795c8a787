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
from drivers.teleop.leader import LeaderArm, LeaderState
from drivers.teleop.settings import TeleopConfig
from drivers.teleop.spacemouse import ALL_BUTTONS, SpaceMouse
from drivers.teleop.spacenav import SpaceNav
from robot_rl.core.clock import ManualClock, nanoseconds
from tests.conformance.device_sources import SpacenavDaemon, Typist
from tests.conformance.input_device import DeviceBench, InputDeviceSuite
from tests.unit.teleop_samples import HOME, Time, arm, moved


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


class TestLeaderArm(InputDeviceSuite):
    """In control of a robot whose target stands still: what is left of the leader's way stays."""

    @pytest.fixture
    def bench(self) -> Iterator[DeviceBench]:
        lead = Lead()
        device = LeaderArm(lead.state, TeleopConfig())
        device.see(arm(), in_control=False)
        device.read()  # couples the two arms as they stand
        device.see(arm(), in_control=True)
        yield DeviceBench(
            device,
            lead.deflect,
            lead.press,
            lead.fall_silent,
            lead.come_back,
            lead.time,
            lead.time.pass_by,
            frame="base",
            heard_of=True,
        )
        device.close()


class Lead:
    """An arm that is led by hand, as it is heard of."""

    def __init__(self) -> None:
        self.time = Time()
        self._pose, self._buttons = HOME, frozenset[str]()
        self._silent_since: int | None = None

    def state(self) -> LeaderState:
        stamp = self.time.now if self._silent_since is None else self._silent_since
        return LeaderState(stamp, self._pose, self._buttons)

    def deflect(self, axes: np.ndarray) -> None:
        """Lead it away from where it rested [m, rad]."""
        self._pose = moved(HOME, axes, 1.0)

    def press(self, word: str) -> None:
        self._buttons = frozenset({word} - {""})

    def fall_silent(self) -> None:
        self._silent_since = self.time.now

    def come_back(self) -> None:
        self._silent_since, self._pose = None, HOME
