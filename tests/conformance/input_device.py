"""What every `InputDevice` must do. Inherit, and give a fixture `bench`: a `DeviceBench`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from robot_rl.core.clock import seconds
from robot_rl.core.errors import DeviceError
from robot_rl.core.protocols import InputDevice
from robot_rl.core.types import BUTTONS, DeviceState

PATIENCE = 20.0
"""What a hand does is seen within this [s]: a limit for tests that would wait for ever."""


@dataclass(frozen=True)
class DeviceBench:
    """A device, and the hand that holds it."""

    device: InputDevice
    deflect: Callable[[np.ndarray], None]
    """Hold the axes there, (6,) in [-1, 1]; those that the device lacks stay at rest."""
    press: Callable[[str], None]
    """Hold down the button of this word, "" for none."""
    unplug: Callable[[], None]
    plug_in: Callable[[], None]
    """Where it was; at rest."""
    now: Callable[[], int]
    """The steady time of the device's stamps [ns]."""
    wait: Callable[[float], None]
    """Let seconds of that time pass."""
    button: str = "toggle"
    """A word that one of its buttons has."""
    lets_go: bool = True
    """It says when a button comes up; else the press ends after some time."""
    frame: str = ""
    """Of its axes."""
    heard_of: bool = False
    """It is known by what others say of it: nobody tells that it is gone, but its state grows old."""

    def until(self, wanted: Callable[[DeviceState], bool]) -> DeviceState:
        """The first state that is as wanted; what a hand does may take a moment to come through."""
        last = None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            last = self.device.read()
            if wanted(last):
                return last
            time.sleep(0.002)
        raise AssertionError(f"not seen within {PATIENCE} s; the last state was {last}")


def moved(axis: int, sign: float) -> Callable[[DeviceState], bool]:
    return lambda state: sign * state.axes[axis] > 0.2


def at_rest(state: DeviceState) -> bool:
    return not state.axes.any()


class InputDeviceSuite:
    """Conformance of a device."""

    def test_satisfies_the_protocol(self, bench: DeviceBench) -> None:
        assert isinstance(bench.device, InputDevice)
        assert bench.device.name

    def test_says_nothing_at_rest(self, bench: DeviceBench) -> None:
        state = bench.device.read()
        assert state.axes.shape == (6,)
        assert state.axes.dtype == np.float64
        assert not state.axes.any()
        assert state.buttons == frozenset()
        assert state.frame == bench.frame

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    @pytest.mark.parametrize("axis", range(6))
    def test_each_axis_moves_alone_and_its_own_way(self, bench: DeviceBench, axis: int, sign: float) -> None:
        wanted = np.zeros(6)
        wanted[axis] = 0.7 * sign
        bench.deflect(wanted)
        state = bench.until(moved(axis, sign))
        assert (np.abs(state.axes) <= 1.0).all()
        assert np.count_nonzero(state.axes) == 1
        bench.deflect(np.zeros(6))
        bench.until(at_rest)

    def test_stamps_are_fresh_and_never_go_back(self, bench: DeviceBench) -> None:
        last = 0
        for _ in range(5):
            before = bench.now()
            state = bench.device.read()
            assert isinstance(state.stamp, int)
            assert before <= state.stamp <= bench.now()
            assert state.stamp >= last
            last = state.stamp
            bench.wait(0.01)

    def test_a_state_stays_as_it_was_read(self, bench: DeviceBench) -> None:
        bench.deflect(np.array([0.7, 0.0, 0.0, 0.0, 0.0, 0.0]))
        state = bench.until(moved(0, 1.0))
        before = state.axes.copy()
        bench.deflect(np.array([0.0, 0.7, 0.0, 0.0, 0.0, 0.0]))
        bench.until(moved(1, 1.0))
        np.testing.assert_array_equal(state.axes, before)

    def test_a_button_counts_while_it_is_held_down(self, bench: DeviceBench) -> None:
        assert bench.button in BUTTONS
        bench.press(bench.button)
        assert bench.until(lambda state: bool(state.buttons)).buttons == {bench.button}
        if bench.lets_go:
            bench.press("")
        else:
            bench.wait(1.0)
        bench.until(lambda state: not state.buttons)

    def test_unplugged_in_mid_motion_it_is_gone_and_comes_back_at_rest(self, bench: DeviceBench) -> None:
        bench.deflect(np.array([0.7, 0.0, 0.0, 0.0, 0.0, 0.0]))
        bench.until(moved(0, 1.0))
        bench.unplug()
        gone = bench.now()
        for _ in range(3):
            if bench.heard_of:
                assert bench.device.read().stamp <= gone
            else:
                with pytest.raises(DeviceError, match=re.escape(bench.device.name)):
                    bench.device.read()
            bench.wait(0.6)
        bench.plug_in()
        bench.wait(0.6)
        state = bench.device.read()
        assert not state.axes.any()
        assert state.buttons == frozenset()
        assert seconds(bench.now() - state.stamp) < PATIENCE
        bench.deflect(np.array([-0.7, 0.0, 0.0, 0.0, 0.0, 0.0]))
        bench.until(moved(0, -1.0))

    def test_closes_once_and_for_all(self, bench: DeviceBench) -> None:
        bench.device.read()
        bench.device.close()
        bench.device.close()
        with pytest.raises(DeviceError, match="closed"):
            bench.device.read()
