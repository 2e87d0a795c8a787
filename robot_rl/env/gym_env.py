"""The environments as `gymnasium.Env`, for other people's learners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from robot_rl.core.errors import RobotFaultError
from robot_rl.core.spec import ArraySpec, Spec
from robot_rl.core.types import Episode, Mode, Step
from robot_rl.env.robot_env import RobotEnv

Render = Callable[[], np.ndarray]
"""Gives an (h, w, 3) uint8 picture of the scene now."""


class GymEnv(gymnasium.Env[Any, np.ndarray]):
    """A `RobotEnv` behind Gymnasium's interface.

    With a person in the environment she may act instead of the caller. `step` returns Gymnasium's five;
    the sixth that matters, the action that was executed, is always in `info["action"]`, with its `source` and
    `penalty` beside it, and all of it is in `last_step`.
    """

    def __init__(
        self,
        env: RobotEnv,
        recover: Callable[[], None],
        render: Render | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Wrap an environment.

        Args:
            env: The environment; its person, if any, helps as in practice.
            recover: Makes the robot ready after a fault, before the next reset.
            render: Draws the scene, for `render_mode` "rgb_array".
            render_mode: "rgb_array" or None.
        """
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(env.spec.control_rate)}
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode {render_mode!r} is not valid: rgb_array or None")
        self.env = env
        self.render_mode = render_mode
        self.observation_space = space_of(env.spec.observation)
        self.action_space = box_of(env.spec.action)
        self.last_step: Step | None = None
        self._recover = recover
        self._render = render
        self._faulted = False
        self._episodes = 0
        self._mode = Mode.EVAL if env.teleop is None else Mode.TRAIN

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        if self._faulted:
            self._recover()
            self._faulted = False
        self.last_step = None
        episode = Episode(self._episodes, int(self.np_random.integers(2**31)), self._mode)
        self._episodes += 1
        return dict(self.env.reset(episode)), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Advance one control period; a fault of the robot truncates the episode.

        Raises:
            InvalidActionError: `action` is not finite, or leaves the action space.
        """
        try:
            step = self.env.step(action)
        except RobotFaultError as error:
            if self.last_step is None:
                raise
            self._faulted = True
            step = self.last_step._replace(reward=0.0, penalty=0.0, terminated=False, truncated=True)
            return dict(step.observation), 0.0, False, True, self._info(step) | {"fault": error.reason}
        self.last_step = step
        reward = step.reward - step.penalty
        return dict(step.observation), reward, step.terminated, step.truncated, self._info(step)

    def _info(self, step: Step) -> dict[str, Any]:
        return {
            "action": step.action,
            "source": step.source,
            "penalty": step.penalty,
            "is_success": step.success,
            "fault": "",
        }

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        return self._render() if self.render_mode == "rgb_array" and self._render is not None else None

    def close(self) -> None:
        self.env.close()


def box_of(array: ArraySpec) -> gymnasium.spaces.Box:
    """The Gymnasium space of one array."""
    return gymnasium.spaces.Box(array.low, array.high, array.shape, np.dtype(array.dtype).type)


def space_of(spec: Spec) -> gymnasium.spaces.Dict:
    """The Gymnasium space of an observation."""
    return gymnasium.spaces.Dict({name: box_of(array) for name, array in spec.entries})
