"""The compiled policy in the loop: the firmware flies the simulated quadrotor.

Each tick the program gets what its sensors would tell it and answers with rotor commands, at the rate at
which it will run on board. It is a process of this host, or the microcontroller's image under QEMU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from policies.firmware import Image
from policies.flight_process import FlightProcess, Status
from sim.quadrotor.native import STATE_ROWS, WRENCH_ROWS, NativeStepper
from sim.quadrotor.parameters import QuadrotorParameters

ATTITUDE_W, ROTORS = 6, slice(13, 17)
"""Rows of a state: the scalar of the attitude, the speeds of the rotors."""

Reference = Callable[[float], np.ndarray]
"""Time [s] to (6 + previews,): position [m], velocity [m/s], preview [m/s]."""


@dataclass(frozen=True)
class FirmwareFlight:
    """What happened, a row each tick."""

    time: np.ndarray
    """(n,) [s]."""
    states: np.ndarray
    """(n, 17) before each tick: position, attitude xyzw, velocity, rates, rotor speeds."""
    references: np.ndarray
    """(n, 6 + previews)."""
    actions: np.ndarray
    """(n, 4)."""
    status: Status
    """After the last tick."""
    report: dict[str, int]
    """Of the self-test at boot."""

    @property
    def errors(self) -> np.ndarray:
        """(n,) distances from the reference [m]."""
        return np.linalg.norm(self.states[:, :3] - self.references[:, :3], axis=1)


def level_start(position: tuple[float, float, float], rotors: float = 0.5) -> np.ndarray:
    """(17,) a state at rest, level, with rotors at half speed."""
    state = np.zeros(STATE_ROWS, np.float32)
    state[:3], state[ATTITUDE_W], state[ROTORS] = position, 1.0, rotors
    return state


def fly(
    image: Image,
    parameters: QuadrotorParameters,
    start: np.ndarray,
    seconds: float = 10.0,
    reference: Reference | None = None,
    wrench: np.ndarray | None = None,
    noise: float = 0.0,
    seed: int = 0,
    tick_us: int = 2000,
) -> FirmwareFlight:
    """Fly until the time is over, or the firmware stops its rotors.

    Args:
        image: The flight program.
        parameters: Of the vehicle.
        start: (17,) the first state.
        seconds: Length of the flight [s].
        reference: What to follow; by default the origin, at rest.
        wrench: (6,) constant force [N] and torque [Nm] on the vehicle.
        noise: Standard deviation of what the estimate adds to position [m], and twice that to velocity [m/s]
            and rates [rad/s].
        seed: Of the noise.
        tick_us: Time between two actions [us], the one that the image was built for.

    Raises:
        PolicyError: The firmware refused to arm or fell silent.
    """
    stepper, rng = NativeStepper(parameters, tick_us / 1e6), np.random.default_rng(seed)
    deviation = noise * np.array([1.0] * 3 + [0.0] * 4 + [2.0] * 6)
    state = np.ascontiguousarray(start, np.float32).reshape(STATE_ROWS, 1).copy()
    push = None
    if wrench is not None:
        push = np.ascontiguousarray(wrench, np.float32).reshape(WRENCH_ROWS, 1)
    origin = np.zeros(6 + image.preview)
    times, states, references, actions = [], [], [], []
    status = Status.FLYING
    with FlightProcess(image) as process:
        for tick in range(round(seconds * 1e6 / tick_us)):
            time = tick * tick_us / 1e6
            wanted = origin if reference is None else reference(time)
            seen = state[:13, 0] + deviation * rng.standard_normal(13)
            status, action = process.step(tick * tick_us, seen, wanted)
            times.append(time)
            states.append(state[:, 0].copy())
            references.append(wanted)
            actions.append(action)
            if status is not Status.FLYING:
                break
            stepper.advance(state, action.reshape(1, 4, 1), push)
        report = process.report
    return FirmwareFlight(
        np.array(times), np.array(states), np.array(references), np.array(actions), status, report
    )
