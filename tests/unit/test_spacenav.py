"""What spacenavd says over its socket, and what it never should; the real daemon is in tests/conformance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.emulators.spacenav_daemon import EmulatedSpacenavDaemon
from drivers.teleop.spacenav import MOTION, PRESS, RELEASE, SpaceNav
from robot_rl.core.clock import ManualClock, nanoseconds
from robot_rl.core.errors import DeviceError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(nanoseconds(1000.0))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[EmulatedSpacenavDaemon]:
    daemon = EmulatedSpacenavDaemon(tmp_path / "spnav.sock")
    yield daemon
    daemon.close()


@pytest.fixture
def device(daemon: EmulatedSpacenavDaemon, clock: ManualClock, tmp_path: Path) -> Iterator[SpaceNav]:
    device = SpaceNav(str(tmp_path / "spnav.sock"), clock=clock.now)
    device.read()
    yield device
    device.close()


def wait(clock: ManualClock, duration: float) -> None:
    clock.advance_to(clock.now() + nanoseconds(duration))


def test_axes_are_as_in_front_of_her(daemon: EmulatedSpacenavDaemon, device: SpaceNav) -> None:
    # The daemon's x is to the right, y up, z away.
    daemon.send(MOTION, 35, 70, 105, 140, 175, 210)
    np.testing.assert_allclose(device.read().axes, [0.3, -0.1, 0.2, 0.6, -0.4, 0.5])


def test_usb_device_that_is_unplugged_in_mid_motion(daemon: EmulatedSpacenavDaemon, device: SpaceNav) -> None:
    daemon.send(MOTION, 0, 0, 350)
    daemon.send(PRESS, 0)
    state = device.read()
    assert state.axes[0] == 1.0
    assert state.buttons == {"toggle"}
    daemon.unplug()
    for _ in range(2):
        with pytest.raises(DeviceError, match="unplugged"):
            device.read()
    daemon.plug_in()
    state = device.read()
    assert not state.axes.any()
    assert state.buttons == frozenset()


def test_a_motion_that_nobody_repeats_is_over(
    daemon: EmulatedSpacenavDaemon, device: SpaceNav, clock: ManualClock
) -> None:
    daemon.send(MOTION, 0, 0, 350)
    assert device.read().axes[0] == 1.0
    wait(clock, 0.9)
    assert device.read().axes[0] == 1.0
    wait(clock, 0.2)
    assert not device.read().axes.any()


def test_events_in_pieces(daemon: EmulatedSpacenavDaemon, device: SpaceNav) -> None:
    event = b"".join(n.to_bytes(4, "little", signed=True) for n in (MOTION, 0, 0, -350, 0, 0, 0, 16))
    daemon.send_bytes(event[:11])
    assert not device.read().axes.any()
    daemon.send_bytes(event[11:] + event[:5])
    assert device.read().axes[0] == -1.0


def test_words_of_the_buttons(
    daemon: EmulatedSpacenavDaemon, device: SpaceNav, tmp_path: Path, clock: ManualClock
) -> None:
    daemon.send(PRESS, 1)
    assert device.read().buttons == {"take_over"}
    daemon.send(RELEASE, 1)
    assert device.read().buttons == frozenset()
    daemon.send(PRESS, 0)
    daemon.send(RELEASE, 0)
    assert device.read().buttons == {"toggle"}  # though it is up again
    assert device.read().buttons == frozenset()
    assert SpaceNav("none", words={0: "dead_man"}, dead_man=True).name == "spacenav"


def test_a_daemon_that_does_not_greet_back(tmp_path: Path) -> None:
    old = EmulatedSpacenavDaemon(tmp_path / "old.sock", version=0)
    device = SpaceNav(str(tmp_path / "old.sock"))
    try:
        with pytest.raises(DeviceError, match=r"spacenavd 1.0"):
            device.read()
    finally:
        device.close()
        old.close()


def test_no_daemon_and_a_socket_that_nobody_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPNAV_SOCKET", str(tmp_path / "none.sock"))
    with pytest.raises(DeviceError, match=r"none\.sock.*apt-get install spacenavd"):
        SpaceNav().read()
    (tmp_path / "file.sock").touch()
    with pytest.raises(DeviceError, match=r"file\.sock"):
        SpaceNav(str(tmp_path / "file.sock")).read()


def test_a_daemon_that_ends_is_found_again(
    daemon: EmulatedSpacenavDaemon, device: SpaceNav, clock: ManualClock, tmp_path: Path
) -> None:
    daemon.send(MOTION, 0, 0, 350)
    assert device.read().axes[0] == 1.0
    daemon.close()
    with pytest.raises(DeviceError, match="spacenavd ended"):
        device.read()
    again = EmulatedSpacenavDaemon(tmp_path / "spnav.sock")
    try:
        with pytest.raises(DeviceError, match="spacenavd ended"):
            device.read()
        wait(clock, 0.6)
        assert not device.read().axes.any()
    finally:
        again.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    data=st.lists(
        st.binary(max_size=40) | st.integers(-3, 6).map(lambda n: n.to_bytes(4, "little", signed=True))
    )
)
def test_no_bytes_do_harm(daemon: EmulatedSpacenavDaemon, device: SpaceNav, data: list[bytes]) -> None:
    for part in data:
        daemon.send_bytes(part)
    try:
        state = device.read()
    except DeviceError as error:
        assert "unplugged" in str(error)
        return
    assert np.isfinite(state.axes).all()
    assert (np.abs(state.axes) <= 1.0).all()
