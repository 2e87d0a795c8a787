"""The reward of "Learning to Fly in Seconds" (section IV), and its curriculum."""

from __future__ import annotations

import dataclasses

from sim.quadrotor.dynamics import Array, State
from sim.quadrotor.references import HOVER_GOAL, Goal
from sim.quadrotor.settings import CurriculumSettings, RewardSettings


def reward(state: State, action: Array, settings: RewardSettings, goal: Goal = HOVER_GOAL) -> Array:
    """The constant less the weighted costs, for an action (..., 4) in a state; ending pays 0 instead.

    It may be negative: a policy whose costs exceed the constant had better end the episode, which is why the
    weights start low.
    """
    p = [a - b for a, b in zip(state.position, goal.position, strict=True)]
    v = [a - b for a, b in zip(state.velocity, goal.velocity, strict=True)]
    tilt = 1.0 - state.attitude.w * state.attitude.w
    return of_errors(sum(x * x for x in p), tilt, sum(x * x for x in v), action, settings)


def of_errors(
    position: Array, tilt: Array, velocity: Array, action: Array, settings: RewardSettings
) -> Array:
    """The same, of |p|^2 [m^2], 1 - q_w^2 and |v|^2 [m^2/s^2], all relative to the reference."""
    s = settings
    off = action - s.baseline
    cost = s.position * position + s.orientation * tilt + s.velocity * velocity
    return s.constant - s.scale * (cost + s.action * (off * off).sum(-1))


def advance(weights: RewardSettings, curriculum: CurriculumSettings) -> RewardSettings:
    """The weights after one change of the curriculum."""
    target = curriculum.target
    return dataclasses.replace(
        weights,
        position=min(weights.position * curriculum.position, target.position),
        velocity=min(weights.velocity * curriculum.velocity, target.velocity),
        action=min(weights.action * curriculum.action, target.action),
    )


def weights_at(step: int, first: RewardSettings, curriculum: CurriculumSettings) -> RewardSettings:
    """The weights that hold from this environment step on."""
    weights = first
    for _ in range(step // curriculum.every):
        weights = advance(weights, curriculum)
    return weights
