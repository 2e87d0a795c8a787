"""Thrust curve, motor lag, mass and inertia of a quadrotor, from logs of its flights.

The model is that of `sim/quadrotor`: rotor speeds s follow their commands u with a first-order lag T, a rotor
lifts f(s) = c0 + c1 s + c2 s^2, and

    lift     a_z = sum_i f(s_i) / (m + payload)                      at each sample
    turning  J dw = int tau - w x J w dt                              over windows of `WINDOW` samples
             tau = sum_i f(s_i) (y_i, -x_i, k spin_i)

Over a window the gyro's difference is compared with the integral, so nothing is differentiated, and with
commands held between the samples the integrals of s and s^2 are exact. Least squares over all unknowns by the
Gauss-Newton method, the two noises from their own residuals. The stated uncertainty is that of a bootstrap
over blocks of time.

A duty cycle d makes the speed u = d V / V_nominal: a brushed motor's speed goes with its mean voltage, drag
torque and winding aside, as the Crazyflie's firmware has it too (`motors.c`). So the thrust curve is that of
the nominal voltage, and of another one f(s V / V_nominal). Logs without the voltage give the curve of the
battery as it happened to be, blurred by how far it fell in the flight.

A flight tells forces only as parts of the mass, and drag torques nearly only as parts of the inertia about z.
So the mass has to be weighed, or some flights flown with a known payload; and something has to be known of
the torque per thrust, from the parameter set that is refined or from elsewhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from calibration.flight_log import FlightLog
from calibration.least_squares import BLOCK, Guess, Residuals, minimised
from robot_rl.core.errors import ConfigError, LogError, nearest

NAMES = ("mass", "c0", "c1", "c2", "jx", "jy", "jz", "torque_per_thrust", "spin_up_time", "spin_down_time")
"""What is identified: [kg], [N] three times, [kg m^2] three times, [m], [s], [s]."""
WINDOW = 5
"""Samples over which a turn is measured."""
GAP = 0.045
"""A longer time between two samples begins a new stretch [s]."""
SETTLING = 0.3
"""Start of each stretch that is left out, until the unknown first speeds of the rotors are forgotten [s]."""
FLYING_LIFT = 3.0
"""Samples with less lift than this are on the ground or falling, and are left out [m/s^2]."""
STAMP = 1e-3
"""How far the stamps of a log may be from when its commands were in force: a lag is known no better [s]."""
WEAK = 0.5
"""A standard deviation of more than this part of the value means that the flights do not tell it."""


@dataclass(frozen=True)
class Geometry:
    """What is measured with a ruler."""

    rotor_x: tuple[float, float, float, float]
    """[m]."""
    rotor_y: tuple[float, float, float, float]
    """[m]."""
    spin: tuple[float, float, float, float]
    """Sign of each rotor's drag torque about z."""


@dataclass(frozen=True)
class IdentificationSettings:
    """How to identify."""

    curve: Literal["quadratic", "full"] = "quadratic"
    """Thrust curve: c2 s^2 alone, or with c0 and c1, which takes flights that climb and sink hard."""
    commands: Literal["held", "changing"] = "held"
    """Between two samples the motors' commands are held, as by a policy at the rate of the log, or they go
    on changing, as by a controller that is faster than the log."""
    nominal_voltage: float = 4.2
    """Voltage that the thrust curve is for: a charged cell's, so that a battery's level is at most 1 [V]."""
    lift_delay: float = 0.0
    """By how much the accelerometer's filter delays it [s]: for one of second order of Butterworth's, with
    the corner f, sqrt(2) / (2 pi f). A Crazyflie's is at 30 Hz, which is 7.5 ms."""
    rates_delay: float = 0.0
    """The same of the gyro; a Crazyflie's is at 80 Hz, which is 2.8 ms."""
    seed: int = 0
    """Seeds the bootstrap."""

    def __post_init__(self) -> None:
        for name in ("lift_delay", "rates_delay"):
            if not 0.0 <= getattr(self, name) < SETTLING:
                raise ConfigError(f"{name} must be in [0, {SETTLING:g}) s, not {getattr(self, name)}")
        if not 0.0 < self.nominal_voltage < float("inf"):
            raise ConfigError(f"nominal_voltage must be more than 0 V, not {self.nominal_voltage}")


@dataclass(frozen=True)
class BatteryRange:
    """The battery in flight."""

    nominal: float
    """Voltage that the thrust curve is for [V]."""
    highest: float
    """In flight, under load [V]."""
    lowest: float
    """In flight, under load [V]."""

    @property
    def least_level(self) -> float:
        """Lowest part of the nominal voltage, rounded down: what a policy has to fly at."""
        return min(1.0, math.floor(100.0 * self.lowest / self.nominal) / 100.0)


@dataclass(frozen=True)
class Identification:
    """What was found."""

    values: Mapping[str, float]
    """Of `NAMES`."""
    stds: Mapping[str, float]
    """Standard deviations by the bootstrap, of lags at least `STAMP`; 0 for what was not identified but taken
    over. They are of the noise: what the model leaves out (drag, a biased accelerometer) is not in them."""
    lift_residual: float
    """Root mean square of the lift's residuals [m/s^2]."""
    turn_residual: float
    """Root mean square of the turns' residuals [rad/s]."""
    samples: int
    """Samples that were used."""
    outliers: float
    """Part of all residuals that was left out: touches of the floor, hands, broken packets."""
    battery: BatteryRange | None
    """The battery in these flights; None where no voltage was logged."""
    warnings: tuple[str, ...] = field(default=())
    """What the flights do not tell."""


@dataclass(frozen=True)
class _Stretch:
    """Samples without a gap, prepared."""

    steps: np.ndarray
    """(n,) time to the next sample [s]."""
    commands: np.ndarray
    """(n, 4) speeds that are asked for, at the voltage that there is."""
    lift: np.ndarray
    rates: np.ndarray
    payload: float
    use: np.ndarray
    """(n,) bool: samples whose lift counts."""
    windows: np.ndarray
    """(w,) first samples of the windows."""
    offset: float
    """Of its first sample in the numbering of blocks [s]."""


def identify(
    logs: Sequence[FlightLog],
    geometry: Geometry,
    guesses: Mapping[str, Guess],
    settings: IdentificationSettings | None = None,
) -> Identification:
    """Identify a quadrotor.

    Args:
        logs: Flights.
        geometry: Of the rotors.
        guesses: For each of `NAMES` a value to start from and how well it is known already.
        settings: How.

    Raises:
        ConfigError: A guess is missing, or the mass can be told neither from a weighing nor from payloads.
        LogError: The logs hold no flight, or nothing that could be identified.
    """
    settings = settings or IdentificationSettings()
    _check_guesses(guesses, logs)
    stretches = _stretches(logs, settings)
    fixed = ("c0", "c1") if settings.curve == "quadratic" else ()
    free = [name for name in NAMES if name not in fixed]
    start = {name: 0.0 if name in fixed else guesses[name].value for name in NAMES}
    priors = {name: guesses[name] for name in free if np.isfinite(guesses[name].std)}
    scale = np.array([abs(start[name]) or 0.02 for name in free])

    @functools.lru_cache(maxsize=2)
    def rotors(up: float, down: float) -> list[_Rotors]:
        """Most columns of a Jacobian have the same lags."""
        return [_rotors(stretch, up, down) for stretch in stretches]

    def residuals(x: np.ndarray) -> Residuals:
        values = start | dict(zip(free, (x * scale).tolist(), strict=True))
        speeds = rotors(values["spin_up_time"], values["spin_down_time"])
        return _residuals(stretches, speeds, geometry, values, settings)

    fit = minimised(
        residuals,
        np.array([start[name] for name in free]) / scale,
        _floor(free),
        {free.index(name): guess.scaled(scale[free.index(name)]) for name, guess in priors.items()},
        settings.seed,
    )
    found = dict(zip(free, (fit.x * scale).tolist(), strict=True))
    stds = dict.fromkeys(NAMES, 0.0) | dict(zip(free, (fit.std * scale).tolist(), strict=True))
    for name in ("spin_up_time", "spin_down_time"):
        stds[name] = math.hypot(stds[name], STAMP)
    weak = [name for name in free if stds[name] > WEAK * abs(found[name])]
    warnings = [f"the flights hardly tell {name}: {found[name]:.3g} +- {stds[name]:.2g}" for name in weak]
    if any(log.voltage is None for log in logs):
        warnings.append("no voltage was logged: the thrust curve is that of the battery as it was")
    lift_noise, turn_noise = fit.noises
    return Identification(
        values=start | found,
        stds=stds,
        lift_residual=lift_noise,
        turn_residual=turn_noise,
        samples=int(fit.kept[0].sum()),
        outliers=1.0 - float(np.concatenate(fit.kept).mean()),
        battery=_battery(logs, settings.nominal_voltage),
        warnings=tuple(warnings),
    )


def _check_guesses(guesses: Mapping[str, Guess], logs: Sequence[FlightLog]) -> None:
    for name in guesses:
        if name not in NAMES:
            raise ConfigError(f"unknown quantity {name!r}: {nearest(name, NAMES)}")
    for name in NAMES:
        if name not in guesses:
            raise ConfigError(f"no guess for {name}")
        if not guesses[name].std > 0.0:
            raise ConfigError(
                f"the standard deviation of {name} must be more than 0, not {guesses[name].std}"
            )
    if not logs:
        raise LogError("no flight was given")
    payloads = {log.payload for log in logs}
    if len(payloads) == 1 and not np.isfinite(guesses["mass"].std):
        raise ConfigError(
            "flights tell forces only as parts of the mass: weigh the quadrotor, or fly a second time with a "
            "known payload in its middle"
        )
    if not np.isfinite(guesses["torque_per_thrust"].std):
        raise ConfigError("flights do not tell torque_per_thrust: say how well it is known")


def _stretches(logs: Sequence[FlightLog], settings: IdentificationSettings) -> list[_Stretch]:
    """The logs, cut where samples are missing."""
    stretches: list[_Stretch] = []
    offset = 0.0
    for log in logs:
        cuts = np.flatnonzero(np.diff(log.time) > GAP) + 1
        for part in np.split(np.arange(len(log.time)), cuts):
            time = log.time[part]
            if len(part) <= WINDOW or time[-1] - time[0] < 2.0 * SETTLING:
                continue
            steps = np.append(np.diff(time), 0.0)
            commands = log.motors[part].copy()
            if log.voltage is not None:
                commands *= log.voltage[part, None] / settings.nominal_voltage
            if settings.commands == "changing":
                commands[:-1] = 0.5 * (commands[:-1] + commands[1:])
            lift = log.lift[part]
            use = (time - time[0] > SETTLING) & (lift > FLYING_LIFT)
            first = np.arange(0, len(part) - WINDOW, WINDOW)
            whole = np.array([use[i : i + WINDOW + 1].all() for i in first], dtype=bool)
            rates = log.rates[part]
            windows = first[whole]
            stretches.append(_Stretch(steps, commands, lift, rates, log.payload, use, windows, offset))
            offset += float(time[-1] - time[0]) + BLOCK
    if sum(int(s.use.sum()) for s in stretches) < 200:
        raise LogError("less than 200 samples are in flight: log some tens of seconds at 100 Hz")
    for name in ("lift", "rates"):
        for log in logs:  # the last bits of what is measured in flight always change
            if not np.ptp(getattr(log, name).reshape(len(log.time), -1), axis=0).all():
                raise LogError(
                    f"the column of {name} is constant in one of the flights: log what the sensor says"
                )
    return stretches


def _battery(logs: Sequence[FlightLog], nominal: float) -> BatteryRange | None:
    """But for the last percent, which may be a touch of the floor or a broken packet."""
    voltages = [log.voltage[log.lift > FLYING_LIFT] for log in logs if log.voltage is not None]
    if not voltages:
        return None
    lowest, highest = np.quantile(np.concatenate(voltages), (0.01, 0.99)).tolist()
    return BatteryRange(nominal, highest, lowest)


_Rotors = tuple[np.ndarray, np.ndarray, np.ndarray]


def _rotors(stretch: _Stretch, up: float, down: float) -> _Rotors:
    """(n, 4) speeds at the samples, and their means and mean squares until the next ones."""
    count = len(stretch.steps)
    speeds, means, squares = np.empty((count, 4)), np.empty((count, 4)), np.empty((count, 4))
    speed = stretch.commands[0].copy()
    for i in range(count):
        speeds[i] = speed
        lack, step = stretch.commands[i] - speed, stretch.steps[i]
        # A rotor that approaches a constant command does not overshoot, so its time constant does not change.
        speed = stretch.commands[i] - lack * np.exp(-step / np.where(lack > 0.0, up, down))
    lack = speeds - stretch.commands
    ratio = np.maximum(stretch.steps, 1e-9)[:, None] / np.where(lack < 0.0, up, down)
    once, twice = -np.expm1(-ratio) / ratio, -np.expm1(-2.0 * ratio) / (2.0 * ratio)
    means = stretch.commands + lack * once
    squares = stretch.commands**2 + 2.0 * stretch.commands * lack * once + lack**2 * twice
    return speeds, means, squares


def _residuals(
    stretches: Sequence[_Stretch],
    rotors: Sequence[_Rotors],
    geometry: Geometry,
    values: Mapping[str, float],
    settings: IdentificationSettings,
) -> Residuals:
    """Residuals of lift [m/s^2] and turns [rad/s], with their times [s]."""
    lifts, turns, lift_times, turn_times = [], [], [], []
    c0, c1, c2 = values["c0"], values["c1"], values["c2"]
    inertia = np.array([values["jx"], values["jy"], values["jz"]])
    arms = np.stack([
        np.array(geometry.rotor_y),
        -np.array(geometry.rotor_x),
        values["torque_per_thrust"] * np.array(geometry.spin),
    ])  # fmt: skip
    for stretch, (speeds, means, squares) in zip(stretches, rotors, strict=True):
        times = stretch.offset + np.concatenate([[0.0], np.cumsum(stretch.steps)[:-1]])
        thrust = _delayed((c0 + speeds * (c1 + c2 * speeds)).sum(1), times, settings.lift_delay)
        residual = stretch.lift - thrust / (values["mass"] + stretch.payload)
        lifts.append(residual[stretch.use])
        lift_times.append(times[stretch.use])
        torque = (c0 + c1 * means + c2 * squares) @ arms.T
        swirl = np.cross(stretch.rates, inertia * stretch.rates)
        swirl[:-1] = 0.5 * (swirl[:-1] + swirl[1:])
        turn = np.cumsum(stretch.steps[:, None] * (torque - swirl) / inertia, axis=0)
        turn = np.vstack([np.zeros(3), turn[:-1]])
        turn = np.column_stack([_delayed(column, times, settings.rates_delay) for column in turn.T])
        first, last = stretch.windows, stretch.windows + WINDOW
        difference = stretch.rates[last] - stretch.rates[first] - (turn[last] - turn[first])
        turns.append(difference.ravel())
        turn_times.append(np.repeat(times[first], 3))
    return (
        (np.concatenate(lifts), np.concatenate(lift_times)),
        (np.concatenate(turns), np.concatenate(turn_times)),
    )


def _delayed(values: np.ndarray, times: np.ndarray, delay: float) -> np.ndarray:
    """(n,) values as they were some time before [s]."""
    return np.interp(times - delay, times, values) if delay > 0.0 else values


def _floor(free: Sequence[str]) -> np.ndarray:
    """Least scaled values: all but the lower terms of the thrust curve are positive."""
    return np.array([-np.inf if name in ("c0", "c1", "c2") else 1e-2 for name in free])
