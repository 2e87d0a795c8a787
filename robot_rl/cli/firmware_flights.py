"""The flights by which `robot-rl fly` tries a compiled policy: starts as in its evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.firmware import Image
from robot_rl.show.flights import Flights
from robot_rl.tasks.quadrotor_firmware import FirmwareFlight, fly
from sim.quadrotor.parameters import QuadrotorParameters
from sim.quadrotor.settings import FlightSettings

NOISE = 0.001
"""Standard deviation of the measured position [m]."""

SEED = 0xF17
"""Of the starts and pushes."""

POSITION, ATTITUDE, ROTORS = slice(0, 3), slice(3, 7), slice(13, 17)
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
    from robot_rl.learn.flight.judge import thrown

    states, wrenches = thrown(vehicle, task, count, SEED)
    flights = [
        fly(image, vehicle, state, seconds, wrench=wrench, noise=NOISE, seed=seed, tick_us=tick_us)
        for seed, (state, wrench) in enumerate(zip(states, wrenches, strict=True))
    ]
    return flights, wrenches


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
