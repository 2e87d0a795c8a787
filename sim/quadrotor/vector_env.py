"""Quadrotors behind Gymnasium's interfaces: many at once, and one.

    gymnasium.make_vec("robot_rl/Quadrotor-v0", num_envs=1024)
    gymnasium.make("robot_rl/Quadrotor-v0")

Observations are the packed vectors of `flight_spec`, clipped to its bounds. Who trains with JAX had better
use `environment.py`, and stay on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from robot_rl.core.config import replace
from robot_rl.core.errors import ConfigError, InvalidActionError
from robot_rl.core.spec import EnvSpec
from sim.quadrotor.environment import Flight, Outcome, observe, replace_where, reset, step
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.settings import PERIOD, FlightSettings
from sim.xla import simulation_options

Settings = FlightSettings | Mapping[str, Any] | None
"""Of the task, or dotted settings to change, such as {"reference.kind": "figure-eight"}."""


class QuadrotorVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many quadrotors. One whose episode ends starts anew in the same step (`AutoresetMode.SAME_STEP`).

    Then the observation is the first one of the new episode; the last one of the old is in
    `info["final_obs"]`, in the rows where `info["_final_obs"]` is true. `info["distance"]` is the distance
    from the reference [m], before the reset.

    Args:
        num_envs: Quadrotors.
        settings: Of the task.
    """

    def __init__(self, num_envs: int = 1, settings: Settings = None) -> None:
        if num_envs < 1:
            raise ConfigError(f"num_envs must be at least 1, not {num_envs}")
        self.num_envs = num_envs
        self.settings = _resolve(settings)
        self.flight_spec = flight_spec(self.settings.history, self.settings.preview)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_modes": [],
            "render_fps": round(1.0 / PERIOD),
        }
        self.single_observation_space = _observation_space(self.flight_spec)
        self.single_action_space = Box(-1.0, 1.0, (4,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        low, high = self.single_observation_space.low, self.single_observation_space.high
        settings_, shape = self.settings, (num_envs,)

        def see(flight: Flight) -> jax.Array:
            return jnp.clip(observe(flight, settings_), low, high)

        def begin(key: jax.Array) -> tuple[Flight, jax.Array]:
            flight = reset(key, settings_, shape)
            return flight, see(flight)

        def advance(flight: Flight, action: jax.Array) -> tuple[Flight, jax.Array, Outcome]:
            flight, outcome = step(flight, action, settings_)
            return flight, see(flight), outcome

        options = simulation_options()
        self._begin = jax.jit(begin, compiler_options=options)
        self._advance = jax.jit(advance, compiler_options=options)
        self._replace = jax.jit(replace_where, compiler_options=options)
        self._flight: Flight | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if isinstance(seed, list):
            raise ConfigError(f"one seed is for all quadrotors, whose chance is drawn together; not {seed}")
        super().reset(seed=None if seed is None else int(seed), options=options)
        self._flight, seen = self._begin(self._key())
        return np.array(seen), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        if self._flight is None:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        actions = _checked(actions, (self.num_envs, 4))
        self._flight, seen, outcome = self._advance(self._flight, actions)
        observation = np.array(seen)
        terminated, truncated = np.array(outcome.terminated), np.array(outcome.truncated)
        info: dict[str, Any] = {"distance": np.array(outcome.distance)}
        ended = terminated | truncated
        if ended.any():
            info["final_obs"], info["_final_obs"] = observation, ended
            fresh, first = self._begin(self._key())
            self._flight = self._replace(ended, fresh, self._flight)
            observation = np.where(ended[:, None], np.asarray(first), observation)
        return observation, np.array(outcome.reward), terminated, truncated, info

    def _key(self) -> jax.Array:
        return jax.random.key(int(self.np_random.integers(2**31)))


class QuadrotorEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One quadrotor, for code that knows no vectors.

    Args:
        settings: Of the task.
        render_mode: None; there is no picture of a quadrotor here.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": round(1.0 / PERIOD)}  # noqa: RUF012

    def __init__(self, settings: Settings = None, render_mode: str | None = None) -> None:
        if render_mode is not None:
            raise ValueError(f"render_mode {render_mode!r} is not valid: None")
        self.render_mode = render_mode
        self.settings = _resolve(settings)
        self.observation_space = _observation_space(flight_spec(self.settings.history, self.settings.preview))
        self.action_space = Box(-1.0, 1.0, (4,), np.float32)
        self._many = QuadrotorVectorEnv(1, self.settings)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        # From our own generator, so that only the first episode after a seed is that seed's.
        observation, _ = self._many.reset(seed=int(self.np_random.integers(2**31)))
        return observation[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._many.step(_checked(action, (4,))[None])
        ended = bool(terminated[0] or truncated[0])
        seen = info["final_obs"][0] if ended else observation[0]
        distance = float(info["distance"][0])
        return seen, float(reward[0]), bool(terminated[0]), bool(truncated[0]), {"distance": distance}


def _resolve(settings: Settings) -> FlightSettings:
    return settings if isinstance(settings, FlightSettings) else replace(FlightSettings(), settings or {})


def _observation_space(spec: EnvSpec) -> Box:
    arrays = [array for _, array in spec.observation.entries]
    low, high = (
        np.concatenate([np.full(a.size, getattr(a, side), np.float32) for a in arrays])
        for side in ("low", "high")
    )
    return Box(low, high, dtype=np.float32)


def _checked(action: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(action, np.float32)
    if array.shape != shape:
        raise InvalidActionError(f"actions of shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise InvalidActionError(f"actions are not finite: {array[~np.isfinite(array)][:8]}")
    return array
