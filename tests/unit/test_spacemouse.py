"""SpaceMice that are garbled, carried away, pulled out, or two of a kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.emulators.hid_mouse import COMPACT, RECEIVER, WIRELESS, EmulatedHidBus, EmulatedSpaceMouse
from drivers.teleop.hid_transport import HidInfo
from drivers.teleop.spacemouse import GARBAGE_LIMIT, SpaceMouse, spacemice
from robot_rl.core.clock import ManualClock, nanoseconds
from robot_rl.core.errors import ConfigError, DeviceError

FORWARD = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
GARBAGE = bytes.fromhex("01 ff 7f ff 7f ff 7f")


class Desk:
    """A clock, the ports of a computer, and mice in them."""

    def __init__(self, *kinds: tuple[int, int]) -> None:
        self.clock = ManualClock(nanoseconds(1000.0))
        self.mice = [EmulatedSpaceMouse(f"/dev/hidraw{i}", k, self.clock.now) for i, k in enumerate(kinds)]
        self.bus = EmulatedHidBus(*self.mice)
        self.devices: list[SpaceMouse] = []

    def device(self, which: int | str = 0, **settings: Any) -> SpaceMouse:
        self.devices.append(SpaceMouse(which, transport=self.bus, clock=self.clock.now, **settings))
        return self.devices[-1]

    def wait(self, duration: float) -> None:
        self.clock.advance_to(self.clock.now() + nanoseconds(duration))


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Callable[..., Desk]:
    def make(*kinds: tuple[int, int]) -> Desk:
        desk = Desk(*kinds)
        request.addfinalizer(lambda: [device.close() for device in desk.devices])
        return desk

    return make


def test_held_cap_goes_on_and_garbage_between_does_not_matter(
    desk: Callable[..., Desk], caplog: pytest.LogCaptureFixture
) -> None:
    d = desk(COMPACT)
    device = d.device()
    d.mice[0].deflect(FORWARD)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            d.mice[0].send(GARBAGE)
            d.wait(0.01)
            assert device.read().axes[0] == 1.0
    assert device.refused == 100
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_nothing_but_garbage_is_an_error_until_sense_comes_back(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT)
    device = d.device()
    d.mice[0].deflect(FORWARD)
    assert device.read().axes[0] == 1.0
    d.mice[0].deflect(np.zeros(6))
    device.read()
    for _ in range(GARBAGE_LIMIT - 1):
        d.mice[0].send(GARBAGE)
        d.wait(0.01)
        assert not device.read().axes.any()
    d.mice[0].send(GARBAGE)
    with pytest.raises(DeviceError, match="no SpaceMouse sends"):
        device.read()
    d.wait(0.6)
    d.mice[0].deflect(FORWARD)
    assert device.read().axes[0] == 1.0


def test_garbage_now_and_then_is_no_error(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT)
    device = d.device()
    for _ in range(2 * GARBAGE_LIMIT):
        d.mice[0].send(GARBAGE)
        d.wait(0.5)
        assert not device.read().axes.any()


def test_wireless_one_out_of_range_is_at_rest(desk: Callable[..., Desk]) -> None:
    d = desk(RECEIVER)
    device = d.device()
    d.mice[0].deflect(FORWARD)
    assert device.read().axes[0] == 1.0
    d.mice[0].in_range = False
    d.wait(0.06)
    assert not device.read().axes.any()
    d.mice[0].in_range = True
    d.wait(0.01)
    assert device.read().axes[0] == 1.0


def test_a_press_between_two_reads_counts(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT)
    device = d.device()
    device.read()
    d.mice[0].press([0])
    d.mice[0].press([])
    assert device.read().buttons == {"toggle"}
    assert device.read().buttons == frozenset()


def test_two_at_once_never_swap_hands(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT, COMPACT)
    left, right = d.device(0), d.device(1)
    d.mice[0].deflect(FORWARD)
    d.mice[1].deflect(-FORWARD)
    assert left.read().axes[0] == 1.0
    assert right.read().axes[0] == -1.0
    d.bus.unplug(d.mice[0])
    for _ in range(3):
        with pytest.raises(DeviceError):
            left.read()
        d.wait(0.6)
        assert right.read().axes[0] == -1.0
    again = EmulatedSpaceMouse("/dev/hidraw7", COMPACT, d.clock.now)
    d.bus.plug_in(again)
    d.wait(0.6)
    assert not left.read().axes.any()
    again.deflect(0.5 * FORWARD)
    assert left.read().axes[0] == 0.5


def test_another_kind_does_not_take_the_place_of_a_lost_one(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT)
    device = d.device()
    device.read()
    d.bus.unplug(d.mice[0])
    with pytest.raises(DeviceError, match="plug it in again"):
        device.read()
    d.bus.plug_in(EmulatedSpaceMouse("/dev/hidraw3", WIRELESS, d.clock.now))
    d.wait(0.6)
    with pytest.raises(DeviceError, match="SpaceMouse Wireless"):
        device.read()


def test_the_second_of_one_is_not_there_and_says_which_is(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT)
    with pytest.raises(
        DeviceError, match=r"spacemouse:1 is not there.*0: SpaceMouse Compact at /dev/hidraw0"
    ):
        d.device(1).read()


def test_one_may_be_named_by_its_path(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT, COMPACT)
    device = d.device("/dev/hidraw1")
    d.mice[1].deflect(FORWARD)
    assert device.read().axes[0] == 1.0


def test_a_receiver_is_one_mouse_though_it_is_a_keyboard_too() -> None:
    class Receiver(EmulatedHidBus):
        def find(self) -> list[HidInfo]:
            keyboard, mouse = (0x01, 0x06), (0x01, 0x02)
            return [
                HidInfo("/dev/hidraw1", *RECEIVER, *keyboard),
                HidInfo("/dev/hidraw2", *RECEIVER, *mouse),
                HidInfo("/dev/hidraw3", *RECEIVER, 0x01, 0x08),
                HidInfo("/dev/hidraw3", *RECEIVER, 0x01, 0x80),
                HidInfo("/dev/hidraw4", 0x046D, 0xC52B, 0x01, 0x02),
                HidInfo("/dev/hidraw5", 0x256F, 0xC999, 0x01, 0x08),
            ]

    assert [info.path for info in spacemice(Receiver())] == ["/dev/hidraw3", "/dev/hidraw5"]


def test_buttons_mean_what_is_asked_for(desk: Callable[..., Desk]) -> None:
    d = desk(COMPACT, COMPACT, COMPACT)
    usual, guarded, own = d.device(0), d.device(1, dead_man=True), d.device(2, words={1: "open"})
    for device, mouse in zip((usual, guarded, own), d.mice, strict=True):
        device.read()
        mouse.press([0, 1])
    assert usual.read().buttons == {"toggle", "take_over"}
    assert guarded.read().buttons == {"toggle", "dead_man"}
    assert own.read().buttons == {"open"}
    with pytest.raises(ConfigError, match="did you mean 'toggle'"):
        d.device(0, words={0: "togle"})


@given(st.lists(st.binary(min_size=1, max_size=16), max_size=80))
def test_no_bytes_make_a_read_fail_in_another_way(reports: list[bytes]) -> None:
    d = Desk(COMPACT)
    device = d.device()
    try:
        device.read()
        for report in reports:
            d.mice[0].send(report)
        state = device.read()
        assert np.isfinite(state.axes).all()
        assert (np.abs(state.axes) <= 1.0).all()
    except DeviceError as error:
        assert "no SpaceMouse sends" in str(error)
    finally:
        device.close()
