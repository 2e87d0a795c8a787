"""The validation of the paper's training: ten flights under the conditions of training, without exploration.

The published program judges these flights apart from the thousand of an evaluation, every 50,000 steps: the
share that lasts to the end and does so within 0.2 m of the target; and of those that last, the mean and the
standard deviation of the largest value of five quantities once the first second, or two, have passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.learn.compile import Program
from robot_rl.learn.flight import paper_replay as replay
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.flight.paper_world import Chance, World, draw_chance, fly, model_of, start
from robot_rl.learn.networks import Params
from sim.quadrotor.dynamics import Array
from sim.quadrotor.observation import MEASURED
from sim.quadrotor.settings import PERIOD

SETTLED = 0.2
"""Distance from the target at the end of a flight that counts as settled [m]."""

AFTER = (100, 200)
"""Steps after which the largest values are taken."""

SEED = 20_240_102
"""Of the starts, disturbances and noise of all validations."""


@dataclass(frozen=True)
class Largest:
    """Largest value of a quantity in each flight that lasts: mean and standard deviation over these."""

    mean: float
    """NaN if no flight lasts."""
    deviation: float
    """NaN if no flight lasts."""


@dataclass(frozen=True)
class Validation:
    """What the flights of a validation look like."""

    flights: int
    """All of them."""
    completed: int
    """Those that last to the end of an episode."""
    settled: float
    """Share of all flights that last and end near the target, in [0, 1]."""
    largest: dict[str, Largest]
    """Of `position` [m], `angle` [rad], `velocity` [m/s], `rates` [rad/s] and `acceleration` (of the rates
    [rad/s^2]), each after both numbers of steps: `position_after_100` and so on."""

    def figures(self) -> dict[str, float]:
        """All of them with flat names, as a run's metrics have; what is not a number is left out."""
        found = {"completed": float(self.completed), "settled": self.settled}
        for name, largest in self.largest.items():
            found |= {f"{name}_mean": largest.mean, f"{name}_deviation": largest.deviation}
        return {name: value for name, value in found.items() if np.isfinite(value)}


class Validator:
    """Flies actors in the world of the training; compiled at the first call.

    Args:
        config: The training. What it leaves out is left out here too.
    """

    def __init__(self, config: PaperConfig) -> None:
        model, steps = model_of(config), config.episode_steps

        def flight(actor: Params, key: jax.Array) -> Array:
            of_start, of_chance = jax.random.split(key)

            def one(world: World, chance: Chance) -> tuple[World, Array]:
                return fly(config, model, actor, world, chance, jnp.float32(0.0))

            chance = draw_chance(of_chance, config, model, steps)
            return jax.lax.scan(one, start(of_start, config), chance)[1]

        def validate(actor: Params, key: jax.Array) -> Array:
            keys = jax.random.split(key, config.validation_flights)
            return jax.vmap(flight, (None, 0))(actor, keys)

        self._fly = Program(validate)

    def __call__(self, actor: Params) -> Validation:
        """The flights of an actor."""
        return judge(np.asarray(self._fly(actor, jax.random.key(SEED))))


def judge(rows: np.ndarray) -> Validation:
    """Figures of flights.

    Args:
        rows: Of the replay buffer, (flights, steps, 80). After the end of an episode the next one's follow;
            only flights without an early end are looked at.
    """
    lasts = ~replay.terminated(rows).any(axis=1)
    before, after = replay.exact_of(rows[lasts])
    near = np.linalg.norm(after[:, -1, :3], axis=-1) < SETTLED
    largest = {}
    for name, values in quantities(before, after).items():
        for first in AFTER:
            peaks = values[:, first:].max(axis=1, initial=0.0)
            some = len(peaks) > 0
            largest[f"{name}_after_{first}"] = Largest(
                float(peaks.mean()) if some else float("nan"), float(peaks.std()) if some else float("nan")
            )
    return Validation(len(rows), int(lasts.sum()), float(near.sum() / len(rows)), largest)


def quantities(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    """The five of steps with these x before and after, (..., 28)."""

    def size(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x, axis=-1)

    # 2 cos(angle) = trace - 1; the rotation matrix has its diagonal at 3, 7 and 11.
    cosine = 0.5 * (before[..., 3] + before[..., 7] + before[..., 11] - 1.0)
    rates, rates_after = before[..., 15:MEASURED], after[..., 15:MEASURED]
    return {
        "position": size(before[..., :3]),
        "angle": np.arccos(np.clip(cosine, -1.0, 1.0)),
        "velocity": size(before[..., 12:15]),
        "rates": size(rates),
        "acceleration": size((rates_after - rates) / PERIOD),
    }
