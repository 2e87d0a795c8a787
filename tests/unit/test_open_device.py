"""Names of devices, and what is said of those that are not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from drivers.teleop.hid_transport import UDEV_RULES, HidApi
from drivers.teleop.opening import open_device
from robot_rl.core.errors import ConfigError, DeviceError, MissingDependencyError

NOBODY = 65534


@pytest.mark.parametrize(
    "name",
    ["spacemouse", "spacemouse:1", "spacemouse:/dev/hidraw3", "spacenav", "gamepad", "gamepad:1", "keyboard"],
)
def test_devices_by_name(name: str) -> None:
    device = open_device(name)
    assert device.name == name
    device.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("console", "robot-rl console"),
        ("leader", "is not opened here"),
        ("spacemose", "did you mean 'spacemouse'"),
        ("gamepad:left", "counts the devices, from 0"),
        ("spacemouse:-1", "counts the devices, from 0"),
        ("", "there is no device ''"),
    ],
)
def test_names_of_no_device(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_device(name)


def test_a_keyboard_has_no_dead_mans_switch() -> None:
    with pytest.raises(ConfigError, match="dead man's switch"):
        open_device("keyboard", dead_man=True)


@pytest.mark.parametrize(("name", "package"), [("spacemouse", "hidapi"), ("gamepad", "pygame")])
def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    for module in ("hid", "hidraw", "pygame", "pygame._sdl2"):
        monkeypatch.setitem(sys.modules, module, None)
    for module in ("hid_transport", "spacemouse", "gamepad"):
        monkeypatch.delitem(sys.modules, f"drivers.teleop.{module}", raising=False)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*pip install 'robot-rl\[devices\]'"):
        open_device(name)


def test_what_is_no_hid_device_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be opened"):
        HidApi().open(str(tmp_path / "hidraw0"))


def test_a_device_of_somebody_else_says_how_to_get_it(tmp_path: Path) -> None:
    device = tmp_path / "hidraw0"
    device.touch(mode=0o000)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(DeviceError) as error:
            HidApi().open(str(device))
    finally:
        os.seteuid(user)
    assert all(rule in str(error.value) for rule in UDEV_RULES)
