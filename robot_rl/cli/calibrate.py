"""`robot-rl calibrate quadrotor LOG...`: a parameter set for the simulator, from logs of flights."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from calibration.flight_log import read_flight_log
from calibration.least_squares import Guess
from calibration.quadrotor import (
    NAMES,
    BatteryRange,
    Geometry,
    Identification,
    IdentificationSettings,
    identify,
)
from robot_rl.cli.arguments import parse
from robot_rl.cli.report import print_columns, print_json
from robot_rl.core.errors import ConfigError, nearest
from sim.quadrotor.parameters import QuadrotorParameters, load_parameters, save_parameters

SUBJECTS = ("quadrotor",)
"""What can be calibrated."""
UNITS = ("kg", "N", "N", "N", "kg m^2", "kg m^2", "kg m^2", "m", "s", "s")
"""Of what is identified."""


@dataclass(frozen=True)
class QuadrotorOptions:
    """Options of `robot-rl calibrate quadrotor`."""

    logs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """CSV files of flights; `calibration/flight_log.py` names their columns."""
    base: str = "l2f-2"
    """Parameter set, or YAML file, to begin with: its geometry and gravity are taken over."""
    mass: float = 0.0
    """What the scale says [kg]; 0 when flights with a payload shall tell it."""
    mass_std: float = 0.0002
    """How well the scale weighs [kg]."""
    torque_per_thrust_std: float = 0.2
    """How well the base's torque per thrust is known, as part of it."""
    curve: Literal["quadratic", "full"] = "quadratic"
    """Thrust curve: c2 s^2 alone, or with c0 and c1, which takes flights that climb and sink hard."""
    commands: Literal["held", "changing"] = "held"
    """Whether the motors' commands are held between samples, as by a policy at the rate of the log, or go on
    changing, as by the vehicle's own controller."""
    nominal_voltage: float = 4.2
    """Voltage of the battery that the thrust curve is for; a charged cell has 4.2 [V]."""
    lift_delay: float = 0.0
    """By how much its own filter delays the accelerometer; a real Crazyflie's 0.0075 [s]."""
    rates_delay: float = 0.0
    """The same of the gyro; a real Crazyflie's 0.0028 [s]."""
    name: str = "identified"
    """Name of the new set."""
    out: Path = Path("quadrotor.yaml")
    """YAML file to write."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    if not argv or argv[0] not in (*SUBJECTS, "-h", "--help"):
        given = argv[0] if argv else ""
        raise ConfigError(f"calibrate what? {given!r}: {nearest(given, SUBJECTS)}")
    words = argv[1:] if argv[0] in SUBJECTS else argv
    text = "Identify a quadrotor from logs of its flights, and write a parameter set for the simulator."
    options = parse(QuadrotorOptions, words, "calibrate quadrotor", text)
    if not 0.0 <= options.mass < math.inf:
        raise ConfigError(
            f"--mass must be what the scale says in kg, or 0 where it is unknown, not {options.mass}"
        )
    if options.out.is_dir():
        raise ConfigError(f"--out must be the path of a YAML file; {options.out} is a directory")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    base = load_parameters(options.base)
    found = identify(
        [read_flight_log(path) for path in options.logs],
        Geometry(base.rotor_x, base.rotor_y, base.spin),
        guesses(base, options),
        IdentificationSettings(
            options.curve,
            options.commands,
            options.nominal_voltage,
            options.lift_delay,
            options.rates_delay,
        ),
    )
    parameters = merged(base, found, options.name)
    save_parameters(parameters, options.out)
    _note_uncertainty(options.out, found)
    _report(base, found, options)
    return 0


def guesses(base: QuadrotorParameters, options: QuadrotorOptions) -> dict[str, Guess]:
    """What is known before the flights."""
    curve = base.thrust if options.curve == "full" else (0.0, 0.0, sum(base.thrust))
    mass = Guess(options.mass, options.mass_std) if options.mass else Guess(base.mass)
    torque = Guess(base.torque_per_thrust, options.torque_per_thrust_std * base.torque_per_thrust)
    known = (*(Guess(c) for c in curve), *(Guess(j) for j in base.inertia))
    lags = Guess(base.spin_up_time), Guess(base.spin_down_time)
    return dict(zip(NAMES, (mass, *known, torque, *lags), strict=True))


def merged(base: QuadrotorParameters, found: Identification, name: str) -> QuadrotorParameters:
    """The base with what was found."""
    v = found.values
    return dataclasses.replace(
        base,
        name=name,
        mass=v["mass"],
        inertia=(v["jx"], v["jy"], v["jz"]),
        thrust=(v["c0"], v["c1"], v["c2"]),
        torque_per_thrust=v["torque_per_thrust"],
        spin_up_time=v["spin_up_time"],
        spin_down_time=v["spin_down_time"],
    )


def _note_uncertainty(path: Path, found: Identification) -> None:
    """Say in comments how good the numbers are."""
    lines = [
        f"# {name}: {found.values[name]:.6g} +- {found.stds[name]:.2g} {unit}"
        for name, unit in zip(NAMES, UNITS, strict=True)
        if found.stds[name] > 0.0
    ]
    battery = found.battery
    if battery is not None:
        lines += [
            f"# thrust at {battery.nominal:g} V; flown at {battery.lowest:.3g} to {battery.highest:.3g} V",
            f"# to train for any charge: {_battery_option(battery)}",
        ]
    path.write_text("\n".join([*lines, path.read_text()]))


def full_thrust(found: Identification, level: float) -> float:
    """Of one rotor at full command and this part of the nominal voltage [N]."""
    v = found.values
    return v["c0"] + level * (v["c1"] + level * v["c2"])


def _battery_facts(found: Identification, battery: BatteryRange) -> dict[str, Any]:
    thrusts = {name: full_thrust(found, volts / battery.nominal) for name, volts in asdict(battery).items()}
    return asdict(battery) | {"least_level": battery.least_level, "full_thrust": thrusts}


def _report_battery(found: Identification, battery: BatteryRange) -> None:
    rows = []
    for name, volts in asdict(battery).items():
        v, level = found.values, volts / battery.nominal
        curve = (v["c0"], level * v["c1"], level**2 * v["c2"], full_thrust(found, level))
        rows.append((name, f"{volts:.2f}", f"{level:.3f}", *(f"{c:.5g}" for c in curve)))
    columns = ("", "V", "level", "c0 [N]", "c1 [N]", "c2 [N]", "at full command [N]")
    print_columns("thrust of a rotor, c0 + c1 s + c2 s^2 for a command s, by the battery", columns, rows)
    print(f"to train for any charge: {_battery_option(battery)}")


def _battery_option(battery: BatteryRange) -> str:
    return f"--flight.vehicle.battery {battery.least_level:g}"


def _report(base: QuadrotorParameters, found: Identification, options: QuadrotorOptions) -> None:
    if options.json:
        print_json(
            {
                "out": str(options.out),
                "values": dict(found.values),
                "stds": dict(found.stds),
                "lift_residual": found.lift_residual,
                "turn_residual": found.turn_residual,
                "samples": found.samples,
                "outliers": found.outliers,
                "battery": None if found.battery is None else _battery_facts(found, found.battery),
                "warnings": list(found.warnings),
            }
        )
        return
    before = (base.mass, *base.thrust, *base.inertia, base.torque_per_thrust)
    rows = []
    for name, unit, old in zip(NAMES, UNITS, (*before, base.spin_up_time, base.spin_down_time), strict=True):
        value, std = found.values[name], found.stds[name]
        part = f"{100.0 * std / abs(value):.1f} %" if value else ""
        rows.append((name, f"{value:.5g}", f"{std:.2g}", part, f"{old:.5g}", unit))
    title = f"{options.name}, from {found.samples} samples: {options.out}"
    print_columns(title, ("", "value", "+-", "", base.name, "unit"), rows)
    lift, turn = found.lift_residual, math.degrees(found.turn_residual)
    part = f"{100.0 * found.outliers:.1f} % of the samples left out"
    print(f"left unexplained: lift {lift:.3g} m/s^2, turns {turn:.3g} deg/s; {part}")
    if found.battery is not None:
        _report_battery(found, found.battery)
    for warning in found.warnings:
        print(f"warning: {warning}")
