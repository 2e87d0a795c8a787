"""Parts of the Crazyflie's driver that need no link, and the emulated battery."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drivers.crazyflie.fault import FaultLatch
from drivers.crazyflie.limits import limited_duration
from drivers.crazyflie.settings import CrazyflieConfig, Positioning
from drivers.crazyflie.state import LogClock, VehicleTime, health_from
from drivers.emulators.crazyflie.battery import FULL_VOLTAGE, Battery
from drivers.emulators.crazyflie.firmware import EmulatorSettings
from drivers.emulators.crazyflie.planner import smooth_piece
from robot_rl.core.errors import ConfigError, InvalidActionError, RobotFaultError

WRAP = 1 << 24
MS = 1_000_000


def test_the_vehicles_time_goes_on_when_its_counter_begins_anew() -> None:
    """After 4.66 hours."""
    time = VehicleTime(begin=5 * MS)
    counts = [WRAP - 20, WRAP - 10, 0, WRAP - 5, 10]  # one was overtaken
    assert [time.at(count) for count in counts] == [5 * MS, 15 * MS, 25 * MS, 20 * MS, 35 * MS]


def test_stamps_go_on_when_the_counter_begins_anew() -> None:
    clock = LogClock()
    stamps = [clock.stamp((WRAP - 1000 + 10 * i) % WRAP, 10 * MS * i) for i in range(200)]
    assert stamps == [10 * MS * i for i in range(200)]


def test_a_packet_that_was_held_up_is_old() -> None:
    clock = LogClock()
    for i in range(100):
        clock.stamp(10 * i, 10 * MS * i)
    assert clock.stamp(1000, 3000 * MS) == pytest.approx(1000 * MS, abs=MS)
    assert clock.stamp(1010, 3010 * MS) == pytest.approx(1010 * MS, abs=MS)


def test_a_fault_that_comes_while_another_is_cleared_stays() -> None:
    fault = FaultLatch()
    fault.latch("link lost")
    count = fault.count
    fault.latch("emergency stop", first=True)
    assert not fault.clear(count)
    with pytest.raises(RobotFaultError, match="emergency stop"):
        fault.check()
    fault.latch("something later")
    assert fault.reason == "emergency stop"
    assert fault.clear(fault.count)
    fault.check()


@pytest.mark.parametrize(
    ("positioning", "worse", "deviation"),
    [
        ("lighthouse", {"varX": 0.04}, 0.2),
        ("external", {"varZ": 0.09}, 0.3),
        ("lighthouse", {"varPX": 9.0}, 0.01),
        ("flow", {"varX": 100.0, "varY": 100.0}, 0.01),
        ("flow", {"varPY": 0.04}, 0.2),
        ("external", {"varY": math.nan}, math.inf),
        # The filter does not run.
        ("lighthouse", dict.fromkeys(("varX", "varY", "varZ"), 0.0), math.inf),
    ],
)
def test_how_well_it_knows_its_place(
    positioning: Positioning, worse: dict[str, float], deviation: float
) -> None:
    """The filter's variances of the place have no P in their names, those of the velocity do."""
    variances = dict.fromkeys(("varX", "varY", "varZ", "varPX", "varPY", "varPZ"), 1e-4) | worse
    values = {"pm.vbat": 3.9, "supervisor.info": 1.0} | {f"kalman.{n}": v for n, v in variances.items()}
    assert health_from(values, positioning).deviation == pytest.approx(deviation)


def test_durations_keep_the_speed_limit() -> None:
    config = CrazyflieConfig(max_speed=1.0)
    start, goal = np.array([0.0, 0.0, 0.5]), np.array([1.2, 0.0, 2.1])
    duration = limited_duration(config, start, goal, 0.1)
    piece = smooth_piece(np.array([[*start, 0.0], [0.0] * 4, [0.0] * 4]), np.array([*goal, 0.0]), duration)
    fastest = max(np.linalg.norm(piece.at(t)[1, :3]) for t in np.linspace(0.0, duration, 50))
    assert 0.8 < fastest <= 1.0
    assert limited_duration(config, start, goal, 60.0) == 60.0
    with pytest.raises(InvalidActionError, match="more than 0 s"):
        limited_duration(config, start, goal, 0.0)


def test_a_battery_sags_under_load_drains_and_comes_back() -> None:
    battery = Battery(capacity=0.25, charge=1.0)
    hover = np.full(4, 0.67)
    assert battery.voltage == FULL_VOLTAGE
    assert battery.rotor_speeds(hover) == pytest.approx(hover)
    battery.drain(hover, 0.01)
    assert 3.9 < battery.voltage < 4.05
    minutes = 0.0
    while battery.charge > 0.0:
        battery.drain(battery.duty(hover), 1.0)
        minutes += 1.0 / 60.0
    assert 6.0 < minutes < 8.0  # what a Crazyflie 2.1 flies
    assert battery.rotor_speeds(np.ones(4)).max() < 0.75
    sagged = battery.voltage
    battery.drain(np.zeros(4), 0.01)
    assert battery.voltage > sagged


def test_the_duty_cycle_makes_up_for_the_voltage_as_far_as_it_goes() -> None:
    battery = Battery(capacity=0.25, charge=0.3)
    speeds = np.array([0.2, 0.5, 0.7, 0.85])
    assert battery.rotor_speeds(battery.duty(speeds)) == pytest.approx(speeds)
    assert battery.duty(np.ones(4)) == pytest.approx(np.ones(4))


@pytest.mark.parametrize("change", [{"charge": 1.5}, {"capacity": 0.0}])
def test_batteries_that_are_none(change: dict) -> None:
    with pytest.raises(ConfigError):
        EmulatorSettings(**change)
