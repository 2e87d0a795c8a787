"""From a device's clock to the graph's: jitter, drift, and clocks that are set back."""

from __future__ import annotations

import numpy as np

from drivers.cameras.device_clock import DeviceClock

MS = 1_000_000
PERIOD = 33 * MS


def arrivals(count: int, drift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True exposures, the device's stamps of them, and the arrivals: 5 ms late and up to 25 ms more."""
    exposed = 10_000 * MS + PERIOD * np.arange(count)
    device = ((1.0 + drift) * PERIOD * np.arange(count)).astype(np.int64)
    jitter = np.random.default_rng(seed).integers(0, 25 * MS, count)
    return exposed, device, exposed + 5 * MS + jitter


def test_jitter_is_taken_out_and_drift_is_followed() -> None:
    for drift in (-5e-5, 0.0, 5e-5):
        exposed, device, arrived = arrivals(5000, drift)
        clock = DeviceClock()
        stamps = np.array([clock.stamp(int(d), int(a)) for d, a in zip(device, arrived, strict=True)])
        error = (stamps - exposed - 5 * MS)[100:] / MS  # beyond the floor of the delay
        assert np.abs(error).max() < 5.0  # the arrivals themselves are up to 25 ms off
        assert error.std() < 1.0
        assert (stamps <= arrived).all()
        assert (np.diff(stamps) > 0).all()


def test_a_clock_that_is_set_back_or_forward_is_followed() -> None:
    for jump in (-1000_000 * MS, -400 * MS, 500_000 * MS):
        exposed, device, arrived = arrivals(200, 0.0)
        device[100:] += jump
        clock = DeviceClock()
        stamps = np.array([clock.stamp(int(d), int(a)) for d, a in zip(device, arrived, strict=True)])
        assert np.abs(stamps - exposed).max() < 31 * MS
        assert (stamps <= arrived).all()


def test_a_stall_of_this_machine_does_no_lasting_harm() -> None:
    exposed, device, arrived = arrivals(200, 0.0)
    arrived[100] += 600 * MS
    arrived[101:] = np.maximum(arrived[101:], arrived[100] + 1)
    clock = DeviceClock()
    stamps = np.array([clock.stamp(int(d), int(a)) for d, a in zip(device, arrived, strict=True)])
    assert (np.diff(stamps) >= 0).all()
    assert np.abs(stamps - exposed)[130:].max() < 31 * MS
