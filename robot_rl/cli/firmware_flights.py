"""The flights by which `robot-rl fly` tries a compiled policy: starts as in its evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from policies.firmware import Image
from robot_rl.show.flights import Flights
from robot_rl.tasks.quadrotor_firmware import FirmwareFlight, fly, level_start
from sim.quadrotor.parameters import QuadrotorParameters
from sim.quadrotor.settings import DisturbanceSettings, FlightSettings, StartSettings

NOISE = 0.001
"""Standard deviation of the measured position [m]."""

POSITION, ATTITUDE, VELOCITY, RATES, ROTORS = (
    slice(0, 3),
    slice(3, 7),
    slice(7, 10),
    slice(10, 13),
    slice(13, 17),
)
"""Rows of a state."""


def fly_often(
    image: Image,
    vehicle: QuadrotorParameters,
    task: FlightSettings,
    count: int,
    seconds: float,
    tick_us: int,
) -> tuple[list[FirmwareFlight], np.ndarray]:
    """Hover from different starts, each with a constant push of its own, and with noise.

    Args:
        image: The flight program.
        vehicle: What flies.
        task: Its starts and its disturbances are drawn from.
        count: Flights.
        seconds: Length of each [s].
        tick_us: Time between two actions [us].

    Returns:
        The flights, and their disturbances (count, 6): force [N], torque [Nm].
    """
    flights, wrenches = [], []
    for seed in range(count):
        rng = np.random.default_rng([seed, 0xF17])
        start, wrench = thrown_start(rng, task.start), constant_push(rng, task.disturbance, vehicle)
        flights.append(
            fly(image, vehicle, start, seconds, wrench=wrench, noise=NOISE, seed=seed, tick_us=tick_us)
        )
        wrenches.append(wrench)
    return flights, np.array(wrenches)


def thrown_start(rng: np.random.Generator, settings: StartSettings) -> np.ndarray:
    """(17,) a state anywhere within the settings: away from the target, tilted, moving and turning."""
    x, y, z = rng.uniform(-settings.position, settings.position, 3).tolist()
    state = level_start((x, y, z), settings.rotors)
    tilt, towards = rng.uniform(0.0, settings.angle), rng.uniform(0.0, 2.0 * math.pi)
    axis = (math.cos(towards), math.sin(towards), 0.0)
    state[ATTITUDE] = [*(math.sin(tilt / 2.0) * a for a in axis), math.cos(tilt / 2.0)]
    state[VELOCITY] = rng.uniform(-settings.velocity, settings.velocity, 3)
    state[RATES] = rng.uniform(-settings.rates, settings.rates, 3)
    return state


def constant_push(
    rng: np.random.Generator, settings: DisturbanceSettings, vehicle: QuadrotorParameters
) -> np.ndarray:
    """(6,) force in the world [N] and torque in the body [Nm] that the policy does not know of."""
    weight = vehicle.mass * vehicle.gravity
    return np.concatenate(
        [rng.normal(0.0, settings.force * weight, 3), rng.normal(0.0, settings.torque * weight, 3)]
    )


def recorded(
    name: str,
    vehicle: QuadrotorParameters,
    flights: Sequence[FirmwareFlight],
    wrenches: np.ndarray,
    bound: float,
    tick_us: int,
) -> Flights:
    """These flights, to be looked at.

    Args:
        name: What they are.
        vehicle: What flew.
        flights: At the same times.
        wrenches: Their disturbances, (flights, 6).
        bound: Distance from the reference, along any axis, beyond which a flight counts as ended [m].
        tick_us: Time between two rows [us].
    """
    ticks, count = max(len(flight.time) for flight in flights), len(flights)
    states = np.full((ticks, count, ROTORS.stop), np.nan)
    wanted = np.full((ticks, count, 3), np.nan)
    for i, flight in enumerate(flights):
        states[: len(flight.time), i] = flight.states
        wanted[: len(flight.time), i] = flight.references[:, POSITION]
    # Written as "not inside", so that what is not a number is outside.
    lost = ~(np.abs(states[..., POSITION] - wanted).max(axis=-1) <= bound)
    return Flights(
        name=name,
        period=tick_us / 1e6,
        position=states[..., POSITION],
        attitude=states[..., ATTITUDE],
        rotors=states[..., ROTORS],
        reference=wanted,
        push=np.broadcast_to(wrenches[:, :3] / (vehicle.mass * vehicle.gravity), (ticks, count, 3)),
        length=np.where(lost.any(axis=0), lost.argmax(axis=0), ticks),
        places=np.column_stack([vehicle.rotor_x, vehicle.rotor_y]),
    )
