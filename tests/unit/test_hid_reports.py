"""The reports of SpaceMice: raw bytes as the devices send them, and bytes that none of them sends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.teleop.hid_reports import SILENCE, ReportDecoder, Verdict

NOW = 10**12


def decoded(*reports: str) -> ReportDecoder:
    decoder = ReportDecoder()
    for report in reports:
        assert decoder.feed(bytes.fromhex(report), NOW) is Verdict.TAKEN
    return decoder


@pytest.mark.parametrize(
    ("report", "axes"),
    [
        # The device's x is to the right: 350 counts, little-endian.
        ("01 5e 01 00 00 00 00", [0, -1, 0, 0, 0, 0]),
        # Its y is towards the person, -350 is away from her.
        ("01 00 00 a2 fe 00 00", [1, 0, 0, 0, 0, 0]),
        # Its z is down: a cap that is pulled up counts down.
        ("01 00 00 00 00 a2 fe", [0, 0, 1, 0, 0, 0]),
        # Tilted away from her it turns left-handed about its x.
        ("02 a2 fe 00 00 00 00", [0, 0, 0, 0, 1, 0]),
        # Tilted to the right it turns left-handed about its y.
        ("02 00 00 a2 fe 00 00", [0, 0, 0, 1, 0, 0]),
        # Twisted clockwise, as seen from above, it turns right-handed about down.
        ("02 00 00 00 00 5e 01", [0, 0, 0, 0, 0, -1]),
    ],
)
def test_wired_one_says_translation_and_rotation_apart(report: str, axes: list[float]) -> None:
    np.testing.assert_array_equal(decoded(report).axes(NOW), axes)


def test_wireless_one_says_all_in_one_report() -> None:
    axes = decoded("01 af 00 51 ff 00 00 00 00 af 00 a2 fe").axes(NOW)
    np.testing.assert_array_equal(axes, [0.5, -0.5, 0.0, -0.5, 0.0, 1.0])


def test_more_than_full_deflection_is_full_deflection() -> None:
    assert decoded("01 00 00 0c fe 00 00").axes(NOW)[0] == 1.0


@pytest.mark.parametrize(
    ("report", "buttons"),
    [
        ("03 01 00", {0}),
        ("03 03 00", {0, 1}),
        ("03 00 00", set()),
        ("03 00 10 40 02", {12, 22, 25}),
        ("1c 0d 00 17 00 00 00 00 00 00 00 00 00", {12, 22}),
        ("1c 00 00 00 00 00 00 00 00 00 00 00 00", set()),
    ],
)
def test_buttons_by_bits_and_by_numbers(report: str, buttons: set[int]) -> None:
    assert decoded(report).buttons == buttons


@pytest.mark.parametrize("report", ["17 64 01 00", "1d 0d 00 00 00 00 00 00 00 00 00 00 00", "2a 01"])
def test_other_news_changes_nothing(report: str) -> None:
    decoder = decoded("01 00 00 a2 fe 00 00", "03 01 00")
    assert decoder.feed(bytes.fromhex(report), NOW) is Verdict.IGNORED
    assert decoder.axes(NOW)[0] == 1.0
    assert decoder.buttons == {0}


@pytest.mark.parametrize(
    "report",
    [
        "",
        "01",
        "01 00 00 a2 fe 00",
        "01 00 00 a2 fe 00 00 00",
        "01 00 00 a2 fe 00 00 00 00 00 00 00 00 00",
        "01 00 00 ff 7f 00 00",
        "01 00 00 00 80 00 00",
        "02 01 02 00 00 00 00",
        "02 00",
        "03",
        "03 01 02 03 04 05 06 07",
        "1c 01",
        "1c ff ff 00 00 00 00 00 00 00 00 00 00",
    ],
)
def test_what_no_device_sends_is_refused_and_changes_nothing(report: str) -> None:
    decoder = decoded("01 00 00 a2 fe 00 00", "03 01 00")
    assert decoder.feed(bytes.fromhex(report), NOW) is Verdict.REFUSED
    np.testing.assert_array_equal(decoder.axes(NOW), [1, 0, 0, 0, 0, 0])
    assert decoder.buttons == {0}


def test_axes_that_nothing_is_heard_of_are_at_rest() -> None:
    decoder = decoded("01 00 00 a2 fe 00 00", "02 00 00 00 00 a2 fe")
    assert decoder.axes(NOW + SILENCE - 1).tolist() == [1, 0, 0, 0, 0, 1]
    decoder.feed(bytes.fromhex("02 00 00 00 00 a2 fe"), NOW + SILENCE - 1)
    assert decoder.axes(NOW + SILENCE).tolist() == [0, 0, 0, 0, 0, 1]
    assert decoder.axes(NOW + 2 * SILENCE).tolist() == [0, 0, 0, 0, 0, 0]


@given(st.lists(st.binary(max_size=16) | st.integers(0, 255).map(lambda n: bytes([n % 4] + 12 * [n]))))
def test_no_bytes_do_harm(reports: list[bytes]) -> None:
    decoder = ReportDecoder()
    for number, report in enumerate(reports):
        assert decoder.feed(report, NOW + number) in Verdict
        axes = decoder.axes(NOW + number)
        assert axes.shape == (6,)
        assert np.isfinite(axes).all()
        assert (np.abs(axes) <= 1.0).all()
        assert all(0 <= button < 256 for button in decoder.buttons)
