"""Identification of quadrotors whose parameters are known, from simulated flights with noise."""

from __future__ import annotations

import functools
import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.flight_log import (
    FlightLog,
    FlightLogWriter,
    flight_log,
    read_flight_log,
    write_flight_log,
)
from calibration.least_squares import Guess
from calibration.quadrotor import NAMES, Geometry, Identification, IdentificationSettings, identify
from drivers.emulators.crazyflie.airframe import Airframe
from drivers.emulators.crazyflie.controller import Controller
from drivers.emulators.crazyflie.crtp import Packet, Port
from drivers.emulators.crazyflie.firmware import STEP, EmulatedCrazyflie, EmulatorSettings
from drivers.emulators.crazyflie.setpoints import Setpoint
from drivers.emulators.crazyflie.vehicle import RigidVehicle
from robot_rl.cli import main
from robot_rl.core.errors import ConfigError, LogError
from sim.quadrotor.parameters import load_parameters

PERIOD = 0.01
QUADRATIC = replace(Airframe(), thrust=(0.0, 0.0, 0.149), spin_up_time=0.06, spin_down_time=0.09)
"""A quadrotor whose thrust is a square."""


@functools.cache
def flight(airframe: Airframe, payload: float = 0.0, duration: float = 16.0, seed: int = 0) -> FlightLog:
    """A restless flight: every 0.4 s somewhere else, with noise on what is measured."""
    rng = np.random.default_rng(seed)
    vehicle = RigidVehicle(replace(airframe, mass=airframe.mass + payload), (0.0, 0.0, 1.0))
    controller = Controller(vehicle.airframe)
    samples = []
    setpoint = Setpoint(position=(0.0, 0.0, 1.5), yaw=0.0)
    for i in range(round(duration / PERIOD)):
        if i % 40 == 0:
            x, y = rng.uniform(-1.0, 1.0, 2)
            setpoint = Setpoint(position=(x, y, rng.uniform(1.0, 3.0)), yaw=rng.uniform(-1.5, 1.5))
        state = vehicle.state()
        command = controller.update(setpoint, state, PERIOD)
        thrust = float(vehicle.airframe.thrusts(vehicle.rotors).sum())
        lift = thrust / vehicle.airframe.mass + rng.normal(0.0, 0.1)
        samples.append((PERIOD * i, command, lift, state.rates + rng.normal(0.0, 0.005, 3)))
        for _ in range(10):
            vehicle.advance(command, 0.1 * PERIOD)
    time, motors, lifts, rates = zip(*samples, strict=True)
    return flight_log(time, motors, lifts, rates, payload=payload)


def truth(airframe: Airframe) -> dict[str, float]:
    values = (airframe.mass, *airframe.thrust, *airframe.inertia, airframe.torque_per_thrust)
    return dict(zip(NAMES, (*values, airframe.spin_up_time, airframe.spin_down_time), strict=True))


def guesses(airframe: Airframe, **known: float) -> dict[str, Guess]:
    """All wrong by a fifth or more, but for what is known to this part of its value."""
    rng = np.random.default_rng(3)
    first = {name: Guess(value * rng.choice([0.7, 1.3])) for name, value in truth(airframe).items()}
    for name, std in known.items():
        value = truth(airframe)[name]
        first[name] = Guess(value, std * value)
    return first


def geometry(airframe: Airframe) -> Geometry:
    return Geometry(airframe.rotor_x, airframe.rotor_y, airframe.spin)


def errors(found: Identification, airframe: Airframe) -> dict[str, float]:
    """In standard deviations; the simulation itself is good to a part in a thousand."""
    return {
        name: abs(found.values[name] - value) / math.hypot(found.stds[name], 1e-3 * value)
        for name, value in truth(airframe).items()
        if found.stds[name] > 0.0
    }


def test_a_weighed_quadrotor() -> None:
    known = guesses(QUADRATIC, mass=0.005, torque_per_thrust=0.02)
    found = identify([flight(QUADRATIC)], geometry(QUADRATIC), known)
    assert max(errors(found, QUADRATIC).values()) < 4.0
    for name, tolerance in {"c2": 0.02, "jx": 0.04, "jy": 0.04, "spin_up_time": 0.05}.items():
        assert found.values[name] == pytest.approx(truth(QUADRATIC)[name], rel=tolerance)
        assert 0.0 < found.stds[name] < tolerance * found.values[name]
    # The mass is known to half a percent, and with it all forces and torques are no better.
    assert found.stds["c2"] / found.values["c2"] == pytest.approx(0.005, rel=0.3)
    assert 0.004 < found.stds["jz"] / found.values["jz"] < 0.025
    assert found.lift_residual == pytest.approx(0.1, rel=0.15)
    assert [w.split(":")[0] for w in found.warnings] == ["no voltage was logged"]


def low_pass(signal: np.ndarray, corner: float, period: float) -> np.ndarray:
    """Butterworth's filter of second order, the bilinear transform of s^2 + sqrt(2) w s + w^2."""
    w = math.tan(math.pi * corner * period)
    scale = 1.0 + math.sqrt(2.0) * w + w * w
    b, a1, a2 = w * w / scale, 2.0 * (w * w - 1.0) / scale, (1.0 - math.sqrt(2.0) * w + w * w) / scale
    out = signal.copy()
    for i in range(2, len(signal)):
        forced = b * (signal[i] + 2.0 * signal[i - 1] + signal[i - 2])
        out[i] = forced - a1 * out[i - 1] - a2 * out[i - 2]
    return out


def test_the_delay_of_the_vehicles_own_filters() -> None:
    """A Crazyflie's, at 1 kHz."""
    rng, fast = np.random.default_rng(0), 0.1 * PERIOD
    vehicle, controller = RigidVehicle(QUADRATIC, (0.0, 0.0, 1.0)), Controller(QUADRATIC)
    setpoint, commands, lifts, rates = Setpoint(position=(0.0, 0.0, 1.5), yaw=0.0), [], [], []
    for i in range(1600):
        if i % 40 == 0:
            x, y, z = rng.uniform((-1.0, -1.0, 1.0), (1.0, 1.0, 3.0))
            setpoint = Setpoint(position=(x, y, z), yaw=rng.uniform(-1.5, 1.5))
        commands.append(controller.update(setpoint, vehicle.state(), PERIOD))
        for _ in range(10):
            lift = float(QUADRATIC.thrusts(vehicle.rotors).sum()) / QUADRATIC.mass
            lifts.append(lift + rng.normal(0.0, 0.1))
            rates.append(vehicle.state().rates + rng.normal(0.0, 0.005, 3))
            vehicle.advance(commands[-1], fast)
    felt = low_pass(np.array(lifts), 30.0, fast)[::10], low_pass(np.array(rates), 80.0, fast)[::10]
    log = FlightLog(PERIOD * np.arange(1600), np.array(commands), *felt)
    known = guesses(QUADRATIC, mass=0.005, torque_per_thrust=0.02)
    settings = IdentificationSettings(lift_delay=0.0075, rates_delay=0.0028)
    found = identify([log], geometry(QUADRATIC), known, settings)
    off = errors(found, QUADRATIC)
    assert max(off[name] for name in ("c2", "jx", "jy", "jz", "spin_up_time", "spin_down_time")) < 1.5
    off = errors(identify([log], geometry(QUADRATIC), known), QUADRATIC)
    assert min(off[name] for name in ("jx", "jy", "spin_up_time", "spin_down_time")) > 3.0


def test_a_known_payload_tells_the_mass() -> None:
    logs = [flight(QUADRATIC), flight(QUADRATIC, 0.008, seed=1)]
    found = identify(logs, geometry(QUADRATIC), guesses(QUADRATIC, torque_per_thrust=0.02))
    assert max(errors(found, QUADRATIC).values()) < 4.0
    assert found.values["mass"] == pytest.approx(QUADRATIC.mass, rel=0.03)
    assert found.stds["mass"] < 0.02 * QUADRATIC.mass
    # The heavy one has touched the floor, and turned by 5 rad/s within a sample.
    assert np.abs(np.diff(logs[1].rates, axis=0)).max() > 3.0
    assert 0.0 < found.outliers < 0.05
    assert found.turn_residual == pytest.approx(0.005 * math.sqrt(2), rel=0.3)


def test_a_whole_thrust_curve() -> None:
    airframe = Airframe()
    known = guesses(airframe, mass=0.005, torque_per_thrust=0.02)
    settings = IdentificationSettings(curve="full")
    found = identify([flight(airframe), flight(airframe, seed=2)], geometry(airframe), known, settings)
    assert max(errors(found, airframe).values()) < 4.0
    speeds = np.linspace(0.35, 0.85, 6)
    curve = found.values["c0"] + speeds * (found.values["c1"] + speeds * found.values["c2"])
    assert curve == pytest.approx(airframe.thrusts(speeds), rel=0.02)


@functools.cache
def emulated_flight(capacity: float) -> FlightLog:
    """By the vehicle's own controller, whose commands change five times between two samples."""
    crazyflie = EmulatedCrazyflie(QUADRATIC, settings=EmulatorSettings(charge=1.0, capacity=capacity))
    rng = np.random.default_rng(4)
    samples = []

    def command(layout: str, *values: float) -> None:
        crazyflie.receive(Packet(Port.HIGH_LEVEL, 0, struct.pack(layout, *values)))

    crazyflie.advance()
    crazyflie.receive(Packet(Port.SUPERVISOR, 1, b"\x01\x01"))
    command("<BBff?f", 7, 0, 1.0, 0.0, False, 1.0)
    for i in range(round(25.0 / STEP)):
        if i > 1000 and i % 350 == 0:
            x, y, yaw = rng.uniform(-0.8, 0.8, 3)
            command("<BBBBfffff", 12, 0, 0, 0, x, y, rng.uniform(0.6, 1.8), yaw, 0.9)
        crazyflie.advance()
        if i % 5 == 0:
            now = crazyflie.truth
            lift = now.specific_force[2] + rng.normal(0.0, 0.1)
            gyro = now.rates + rng.normal(0.0, 0.002, 3)
            volts = round(crazyflie.battery.voltage + rng.normal(0.0, 0.005), 3)
            samples.append((crazyflie.now, crazyflie.rotor_command, lift, gyro, volts))
    time, motors, lifts, rates, voltages = zip(*samples, strict=True)
    return flight_log(time, motors, lifts, rates, voltages)


CHANGING = IdentificationSettings(commands="changing")


def test_flown_by_the_vehicles_own_controller_until_the_battery_is_empty() -> None:
    log = emulated_flight(0.02)
    assert log.voltage is not None
    known = guesses(QUADRATIC, mass=0.005, torque_per_thrust=0.02)
    found = identify([log], geometry(QUADRATIC), known, CHANGING)
    assert max(errors(found, QUADRATIC).values()) < 4.0
    for name, tolerance in {"c2": 0.02, "jx": 0.05, "jy": 0.05, "spin_up_time": 0.1}.items():
        assert found.values[name] == pytest.approx(truth(QUADRATIC)[name], rel=tolerance)
    assert not found.warnings
    battery = found.battery
    assert battery is not None
    assert battery.nominal == 4.2
    assert 3.1 < battery.lowest < 3.4 < 4.0 < battery.highest < 4.15
    assert battery.least_level == pytest.approx(battery.lowest / 4.2, abs=0.01)
    assert battery.least_level <= battery.lowest / 4.2


def test_without_the_voltage_the_curve_is_not_that_of_a_full_battery() -> None:
    """And it is worse than it looks: what it misses is not noise."""
    known = guesses(QUADRATIC, mass=0.005, torque_per_thrust=0.02)
    whole = emulated_flight(0.02)
    blind = identify([replace(whole, voltage=None)], geometry(QUADRATIC), known, CHANGING)
    seeing = identify([whole], geometry(QUADRATIC), known, CHANGING)
    assert blind.values["c2"] < 0.85 * QUADRATIC.thrust[2]
    assert errors(blind, QUADRATIC)["c2"] > 5.0
    assert blind.lift_residual > 1.5 * seeing.lift_residual
    assert blind.battery is None
    assert any("no voltage" in warning for warning in blind.warnings)


def test_lost_samples_and_landings_do_no_harm() -> None:
    whole = flight(QUADRATIC)
    rng = np.random.default_rng(5)
    kept = np.flatnonzero((rng.random(len(whole.time)) > 0.002) & (np.abs(whole.time - 7.0) > 0.5))
    lift = whole.lift.copy()
    lift[:300] = 0.0  # not off the ground yet
    log = FlightLog(whole.time[kept], whole.motors[kept], lift[kept], whole.rates[kept])
    known = guesses(QUADRATIC, mass=0.005, torque_per_thrust=0.02)
    found = identify([log], geometry(QUADRATIC), known)
    assert found.values["c2"] == pytest.approx(QUADRATIC.thrust[2], rel=0.03)
    assert found.samples < 1300


def test_what_a_calm_flight_does_not_tell_is_said() -> None:
    """Hovering at one place: the curve's three terms cannot be told apart."""
    calm = flight(QUADRATIC)
    time = calm.time
    hover = np.full((len(time), 4), QUADRATIC.hover_speed)
    rng = np.random.default_rng(6)
    noise = rng.normal(0.0, 0.1, len(time))
    log = FlightLog(time, hover, 9.81 + noise, rng.normal(0.0, 0.005, (len(time), 3)))
    known = guesses(QUADRATIC, mass=0.005, torque_per_thrust=0.02)
    try:
        found = identify([log], geometry(QUADRATIC), known, IdentificationSettings(curve="full"))
    except LogError as error:
        assert "do not tell" in str(error)
    else:
        assert any("jx" in warning for warning in found.warnings)


def test_the_command_writes_what_the_simulator_loads(tmp_path, capsys) -> None:
    logs = []
    for i, payload in enumerate((0.0, 0.008)):
        logs.append(str(tmp_path / f"{i}.csv"))
        write_flight_log(flight(QUADRATIC, payload, seed=i), Path(logs[-1]))
    out = tmp_path / "mine.yaml"
    words = ["calibrate", "quadrotor", *logs, "--base", "gpd-cf2x", "--name", "mine", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    parameters = load_parameters(str(out))
    assert parameters.name == "mine"
    assert parameters.mass == printed["values"]["mass"] == pytest.approx(QUADRATIC.mass, rel=0.02)
    assert parameters.thrust[2] == pytest.approx(QUADRATIC.thrust[2], rel=0.02)
    assert f"# mass: {parameters.mass:.6g} +- " in out.read_text()
    assert printed["battery"] is None
    assert main(words) == 0
    assert "0.2 %" in capsys.readouterr().out
    assert main(["calibrate", "quadcopter"]) == 1
    assert "valid: quadrotor" in capsys.readouterr().err


def test_the_command_tells_of_the_battery(tmp_path, capsys) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "mine.yaml"
    write_flight_log(emulated_flight(0.02), log)
    words = ["calibrate", "quadrotor", str(log), "--base", "gpd-cf2x", "--mass", "0.028", "--out", str(out)]
    assert main([*words, "--commands", "changing", "--json"]) == 0
    battery = json.loads(capsys.readouterr().out)["battery"]
    thrust = battery["full_thrust"]
    assert thrust["lowest"] / thrust["nominal"] == pytest.approx((battery["lowest"] / 4.2) ** 2)
    option = f"--flight.vehicle.battery {battery['least_level']:g}"
    assert option in out.read_text()
    assert load_parameters(str(out)).thrust[2] == thrust["nominal"]
    assert main([*words, "--commands", "changing"]) == 0
    assert option in capsys.readouterr().out


def test_a_log_survives_its_file(tmp_path) -> None:
    log = flight(QUADRATIC, 0.008, seed=1)
    write_flight_log(log, tmp_path / "log.csv")
    back = read_flight_log(tmp_path / "log.csv")
    assert back.payload == 0.008
    assert back.voltage is None
    for name in ("time", "motors", "lift", "rates"):
        assert getattr(back, name) == pytest.approx(getattr(log, name), rel=1e-7, abs=1e-9)


def test_a_log_is_in_its_file_as_it_is_flown(tmp_path) -> None:
    """Whatever becomes of the process: nothing here is closed, and the last line is half a line."""
    path = tmp_path / "flights" / "log.csv"
    writer = FlightLogWriter(path)
    sample = (0.5, 0.5, 0.5, 0.5, 9.8, 0.1, 0.2, 0.3, 3.9)
    for i in range(0, 120, 10):
        writer.add([(0.01 * k, *sample) for k in range(i, i + 10)])
    writer.add([(0.5, *sample), (2.0, math.nan, *sample[1:])])
    with path.open("a") as file:
        file.write("1.20,0.5,0.5,0.")
    log = read_flight_log(path)
    assert log.time == pytest.approx(0.01 * np.arange(120))
    assert log.voltage == pytest.approx(np.full(120, 3.9))
    assert log.rates[0] == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(LogError, match="holds a flight already"):
        FlightLogWriter(path)
    writer.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"motors": lambda m: 65535 * m}, "divide 16-bit ones"),
        ({"time": lambda t: t[::-1].copy()}, "time goes back"),
        ({"lift": lambda v: np.where(np.arange(len(v)) == 7, math.nan, v)}, "lift is not finite in sample 7"),
        ({"rates": lambda r: r[:, :2]}, "must have the shape"),
        ({"payload": lambda p: -1.0}, "payload must not be negative"),
        ({"voltage": lambda _: np.zeros(1600)}, "voltage must be more than 0 V"),
        ({"voltage": lambda _: np.full(7, 4.0)}, "voltage must have the shape"),
    ],
)
def test_logs_that_are_none(change: dict, said: str) -> None:
    log = flight(QUADRATIC)
    with pytest.raises(LogError, match=said):
        replace(log, **{name: f(getattr(log, name)) for name, f in change.items()})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; its first line must name the columns"),
        ("time,time,m1,m2,m3,m4,lift,rate_x,rate_y,rate_z\n", "has 2 columns 'time'"),
        ("time,m1,m2,m3,m4,lift,rate_x,rate_y,gyro_z\n", "no column 'rate_z'"),
        (
            "time,m1,m2,m3,m4,lift,rate_x,rate_y,rate_z\n" + "\n# two\n0,0,0,0,0,0,0,0,x\n",
            "line 4: all must be numbers",
        ),
        ("time,m1,m2,m3,m4,lift,rate_x,rate_y,rate_z\n" + "0,0,0,0,0,0,0,0,0,0\n", "line 2: 9 columns"),
        ("time,m1,m2,m3,m4,lift,rate_x,rate_y,rate_z\n", "says nothing"),
        ("time,m1,m2,m3,m4,lift,rate_x,rate_y,rate_z\n" + "0,0,0,0,0,0,0,0,0\n", "says nothing"),
    ],
)
def test_files_that_are_no_logs(tmp_path, text: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(LogError, match=said):
        read_flight_log(tmp_path / "log.csv")


def test_what_is_no_text_is_no_log(tmp_path) -> None:
    (tmp_path / "log.csv").write_bytes(b"time,m1\n\xff\xfe\n")
    with pytest.raises(LogError, match="no CSV file"):
        read_flight_log(tmp_path / "log.csv")


def test_what_cannot_be_told_is_asked_for() -> None:
    log = flight(QUADRATIC)
    with pytest.raises(ConfigError, match="weigh the quadrotor"):
        identify([log], geometry(QUADRATIC), guesses(QUADRATIC, torque_per_thrust=0.02))
    with pytest.raises(ConfigError, match="torque_per_thrust"):
        identify([log], geometry(QUADRATIC), guesses(QUADRATIC, mass=0.01))
    known = guesses(QUADRATIC, mass=0.01, torque_per_thrust=0.02)
    with pytest.raises(ConfigError, match="did you mean 'mass'"):
        identify([log], geometry(QUADRATIC), known | {"mas": Guess(1.0)})
    standing = replace(log, lift=np.zeros_like(log.lift))
    with pytest.raises(LogError, match="in flight"):
        identify([standing], geometry(QUADRATIC), known)
    with pytest.raises(LogError, match="column of rates is constant"):
        identify([replace(log, rates=np.zeros_like(log.rates))], geometry(QUADRATIC), known)
