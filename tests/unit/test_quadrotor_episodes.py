"""What happens in an episode of flight: what is paid, remembered, blurred, blown and counted."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sim.quadrotor.dynamics import Model, Quaternion, Vector
from sim.quadrotor.environment import observe, reset, step
from sim.quadrotor.evaluation import Evaluator
from sim.quadrotor.observation import rotation_rows
from sim.quadrotor.parameters import L2F_PAPER
from sim.quadrotor.randomise import draw_model
from sim.quadrotor.references import goal
from sim.quadrotor.settings import (
    LEVEL_START,
    NO_DISTURBANCE,
    QUIET,
    DisturbanceSettings,
    FlightSettings,
    RandomisationSettings,
    ReferenceSettings,
    StartSettings,
)
from sim.quadrotor.starts import draw_start

KEY = jax.random.key(11)
CALM = FlightSettings(
    start=StartSettings(1.0, 0.0, 0.0, 0.0, 0.0, rotors=L2F_PAPER.hover_speed),
    disturbance=NO_DISTURBANCE,
    noise=QUIET,
    history=2,
)

EIGHT = dataclasses.replace(
    CALM,
    start=dataclasses.replace(LEVEL_START, rotors=L2F_PAPER.hover_speed),
    reference=ReferenceSettings(kind="figure-eight"),
    steps=750,
)
"""A figure eight, of a ramp and a lap; to be met by drones that stay where it begins."""


def test_a_step_pays_for_the_state_that_it_starts_from() -> None:
    flight = reset(KEY, CALM, (1,))
    away = flight.state._replace(
        position=Vector(*map(jnp.asarray, ([0.1], [0.0], [0.0]))),
        velocity=Vector(*map(jnp.asarray, ([2.0], [0.0], [0.0]))),
    )
    _, outcome = step(flight._replace(state=away), jnp.full((1, 4), 0.334), CALM)
    assert float(outcome.reward[0]) == pytest.approx(2.0 - 0.5 * (40.0 * 0.01 + 4.0), abs=1e-5)
    assert float(outcome.distance[0]) == pytest.approx(0.12, abs=1e-4)


def test_the_history_starts_with_the_rotors_speed_and_holds_what_was_flown() -> None:
    flight = reset(KEY, CALM, (1,))
    np.testing.assert_allclose(flight.actions, L2F_PAPER.hover_action, rtol=1e-6)
    flight, _ = step(flight, jnp.asarray([[-3.0, 0.5, 3.0, -0.5]]), CALM)
    np.testing.assert_allclose(flight.actions[0, 4:], [-1.0, 0.5, 1.0, -0.5])


def test_noise_is_new_in_each_step_and_the_same_however_often_one_looks() -> None:
    task = FlightSettings(history=0)
    flight = reset(KEY, task, (3,))
    first, again = observe(flight, task), observe(flight, task)
    np.testing.assert_array_equal(first, again)
    quiet = dataclasses.replace(task, noise=QUIET)
    later, _ = step(flight, jnp.zeros((3, 4)), task)
    before = np.asarray(first - observe(flight, quiet))
    after = np.asarray(observe(later, task) - observe(later, quiet))
    assert np.abs(before - after).min() > 0.0


def test_position_and_velocity_are_seen_relative_to_the_reference() -> None:
    task = dataclasses.replace(EIGHT, preview=(0.1, 0.2))
    flight = reset(KEY, task, (2,))
    later = flight._replace(steps=flight.steps + 300)
    wanted = goal(later.reference, jnp.full(2, 3.0), task.preview)
    seen = np.asarray(observe(later, task))
    state = later.state
    np.testing.assert_allclose(seen[:, 0], state.position.x - wanted.position.x, atol=1e-6)
    np.testing.assert_allclose(seen[:, 13], state.velocity.y - wanted.velocity.y, atol=1e-6)
    np.testing.assert_allclose(
        seen[:, 18:24].reshape(2, 2, 3)[0], np.stack(wanted.preview)[:, :, 0], atol=1e-6
    )
    assert np.abs(seen[:, 13]).min() > 0.1, "it is to move there"


def test_the_rotation_that_is_seen_turns_the_body_into_the_world() -> None:
    q = np.random.default_rng(3).normal(size=(20, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    rows = np.stack(rotation_rows(Quaternion(*map(jnp.asarray, q.T))), -1)
    np.testing.assert_allclose(rows.reshape(20, 3, 3), Rotation.from_quat(q).as_matrix(), atol=1e-6)


def test_gusts_push_and_change() -> None:
    task = dataclasses.replace(CALM, disturbance=DisturbanceSettings(0.0, 0.0, gust=0.2, gust_time=0.05))
    flight = reset(KEY, task, (64,))
    gust = np.asarray(flight.disturbance.gust.x)
    after, _ = step(flight, jnp.full((64, 4), L2F_PAPER.hover_action), task)
    np.testing.assert_allclose(after.state.velocity.x, 0.01 * gust / L2F_PAPER.mass, rtol=1e-3)
    changed = np.asarray(after.disturbance.gust.x)
    assert 0.5 < np.corrcoef(gust, changed)[0, 1] < 0.95


def test_starts_move_and_turn_within_their_limits() -> None:
    state = draw_start(KEY, (5000,), StartSettings(velocity=0.7, rates=3.0))
    for vector, limit in ((state.velocity, 0.7), (state.rates, 3.0)):
        values = np.asarray(vector)
        assert np.abs(values).max() <= limit
        np.testing.assert_allclose(values.std(1), limit / np.sqrt(3.0), rtol=0.05)


@pytest.mark.parametrize(
    ("scattered", "changed"),
    [
        ("mass", {"mass"}),
        ("inertia", {"inertia"}),
        ("thrust", {"thrust"}),
        ("torque", {"torque_per_thrust"}),
        ("lag", {"spin_up_time", "spin_down_time"}),
    ],
)
def test_scatter_changes_what_it_is_of(scattered: str, changed: set[str]) -> None:
    nominal = Model.of(L2F_PAPER)
    model = draw_model(KEY, (500,), dataclasses.replace(RandomisationSettings(), **{scattered: 0.5}))
    for name in Model._fields:
        for new, old in zip(
            jax.tree.leaves(getattr(model, name)), jax.tree.leaves(getattr(nominal, name)), strict=True
        ):
            ratio = np.asarray(new) / old if old else np.ones(1)
            if name in changed and old:
                assert 1 / 1.5 <= ratio.min() * 1.0001 < 0.7 and 1.45 < ratio.max() <= 1.5001, name
            else:
                np.testing.assert_allclose(ratio, 1.0, rtol=1e-6, err_msg=name)


def test_a_quadrotor_that_scatters_can_always_fly() -> None:
    model = draw_model(KEY, (500,), RandomisationSettings(thrust=3.0))
    lift = np.asarray(4.0 * sum(model.thrust) / (0.027 * 9.81))
    assert lift.min() == pytest.approx(1.0, abs=1e-4) and lift.max() > 5.0


def hovering(action: jax.Array, seen: jax.Array) -> jax.Array:
    return jnp.broadcast_to(action, (*seen.shape[:-1], 4))


def test_an_evaluation_measures_behind_the_ramp() -> None:
    task = dataclasses.replace(EIGHT, bound=5.0)
    found = Evaluator(hovering, task, 2)(jnp.float32(L2F_PAPER.hover_action))
    # x = cos t, y = sin(2 t) / 2 against (1, 0): the mean of (1 - cos t)^2 + sin(2 t)^2 / 4 is 1.5 + 1 / 8.
    assert found.rms == pytest.approx(np.sqrt(1.625), rel=0.01)
    assert found.rms_95 == pytest.approx(found.rms, rel=1e-5)


def test_an_evaluation_pays_nothing_after_an_end() -> None:
    """The reference leaves the drone, which ends the episode, and comes back after a lap."""
    task = dataclasses.replace(EIGHT, bound=0.5)
    found = Evaluator(hovering, task, 2)(jnp.float32(L2F_PAPER.hover_action))
    assert found.alive == 0.0 and 100 < found.length < 200
    # The step that ends it pays nothing either.
    flown = dataclasses.replace(task, bound=5.0, steps=round(found.length) - 1)
    paid = Evaluator(hovering, flown, 2)(jnp.float32(L2F_PAPER.hover_action)).reward
    assert found.reward == pytest.approx(paid, rel=1e-4)
