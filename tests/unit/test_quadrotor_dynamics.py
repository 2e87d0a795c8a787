from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.quadrotor.dynamics import (
    PERIOD,
    Model,
    Quaternion,
    State,
    Vector,
    Wrench,
    derivative,
    rest,
    rotor_command,
    step,
)
from sim.quadrotor.parameters import L2F_2, L2F_PAPER, SETS, QuadrotorParameters


@functools.partial(jax.jit, static_argnames=("parameters", "steps", "period"))
def fly(
    parameters: QuadrotorParameters, state: State, actions: tuple, steps: int, period: float = PERIOD
) -> State:
    """So many periods under one action."""
    model = Model.of(parameters)
    return jax.lax.fori_loop(0, steps, lambda _, s: step(model, s, actions, period=period), state)


def tumbling(rng: np.random.Generator, n: int, unlike: float = 0.25) -> State:
    """In any attitude, with rotors whose speeds differ by this much from 0.55."""

    def vector(size: float) -> Vector:
        return Vector(*(jnp.asarray(row) for row in rng.uniform(-size, size, (3, n))))

    q = rng.normal(size=(4, n))
    q = q / np.linalg.norm(q, axis=0)
    rotors = tuple(jnp.asarray(row) for row in rng.uniform(0.55 - unlike, 0.55 + unlike, (4, n)))
    a, b, c, d = rotors
    return State(vector(0.2), Quaternion(*map(jnp.asarray, q)), vector(1.0), vector(3.0), (a, b, c, d))


def test_steps_of_ten_milliseconds_are_as_good_as_a_hundred_times_as_many() -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        state = tumbling(rng, 20, unlike=0.02)
        a, b, c, d = (jnp.asarray(row) for row in rng.uniform(0.28, 0.36, (4, 20)))
        coarse = fly(L2F_PAPER, state, (a, b, c, d), 50)
        fine = fly(L2F_PAPER, state, (a, b, c, d), 5000, PERIOD / 100)
        away = [np.asarray(x - y) for x, y in zip(coarse.position, fine.position, strict=True)]
        assert float(np.median(np.linalg.norm(away, axis=0))) < 1e-7
        turned = [np.asarray(x - y) for x, y in zip(coarse.attitude, fine.attitude, strict=True)]
        assert float(np.median(np.linalg.norm(turned, axis=0))) < 1e-6


def test_without_thrust_it_falls() -> None:
    state = rest((1,), rotors=0.0)
    after = fly(L2F_PAPER, state, (-1.0, -1.0, -1.0, -1.0), 100)
    assert np.isclose(after.position.z[0], -9.81 / 2, rtol=1e-5)
    assert np.isclose(after.velocity.z[0], -9.81, rtol=1e-5)
    assert float(after.position.x[0]) == float(after.position.y[0]) == 0.0


@pytest.mark.parametrize("name", SETS)
def test_at_hover_speed_nothing_moves(name: str) -> None:
    p = SETS[name]
    u = p.hover_action
    after = fly(p, rest((1,), rotors=p.hover_speed), (u, u, u, u), 100)
    assert np.allclose(jax.tree.leaves((after.position, after.velocity, after.rates)), 0.0, atol=2e-5)


@pytest.mark.parametrize(
    ("rotors", "sign"),
    [
        # Rotors 1 (front right), 2 (back right), 3 (back left), 4 (front left); x forwards, y left, z up.
        ((0.6, 0.6, 0.7, 0.7), (1, 0, 0)),
        ((0.6, 0.7, 0.7, 0.6), (0, 1, 0)),
        ((0.6, 0.7, 0.6, 0.7), (0, 0, 1)),
    ],
    ids=["more on the left rolls right", "more at the back pitches down", "more of 2 and 4 yaws left"],
)
def test_rotors_turn_it_the_right_way(
    rotors: tuple[float, float, float, float], sign: tuple[int, int, int]
) -> None:
    state = rest(())._replace(rotors=rotors)
    rates = derivative(Model.of(L2F_PAPER), state, rotors, Wrench(Vector(0, 0, 0), Vector(0, 0, 0))).rates
    assert np.array_equal(np.sign(np.round(np.asarray(rates), 4)), sign)


def test_torques_are_arm_times_thrust() -> None:
    p = L2F_PAPER
    state = rest(())._replace(rotors=(0.6, 0.6, 0.7, 0.7))
    rates = derivative(Model.of(p), state, state.rotors, Wrench(Vector(0, 0, 0), Vector(0, 0, 0))).rates
    expected = 0.028 * 2 * p.thrust[2] * (0.7**2 - 0.6**2) / p.inertia[0]
    assert np.isclose(rates.x, expected, rtol=1e-5)


def test_a_free_body_keeps_momentum_and_energy() -> None:
    """The angular momentum in the world and the energy of the rotation last, gyration and all."""
    body = dataclasses.replace(L2F_PAPER, inertia=(3.85e-6, 5.0e-6, 7.0e-6), gravity=1e-9)
    with jax.enable_x64(True):
        state = rest((1,))._replace(rates=Vector(jnp.full(1, 8.0), jnp.full(1, 3.0), jnp.full(1, -5.0)))
        after = fly(body, state, (-1.0, -1.0, -1.0, -1.0), 200)

        def momentum(s: State) -> np.ndarray:
            x, y, z, w = (float(v[0]) for v in s.attitude)
            vector = np.array([x, y, z])
            in_body = np.array(body.inertia) * [float(v[0]) for v in s.rates]
            return (
                in_body + 2 * w * np.cross(vector, in_body) + 2 * np.cross(vector, np.cross(vector, in_body))
            )

        def energy(s: State) -> float:
            return 0.5 * float(sum(j * v[0] ** 2 for j, v in zip(body.inertia, s.rates, strict=True)))

        assert not np.allclose(after.rates.x, state.rates.x, rtol=0.05), "it does not gyrate at all"
        assert np.allclose(momentum(after), momentum(state), rtol=1e-4)
        assert np.isclose(energy(after), energy(state), rtol=1e-5)


def test_rotors_lag_by_their_time_constant_each_way() -> None:
    for wanted, start, time in ((1.0, 0.0, L2F_2.spin_up_time), (-1.0, 1.0, L2F_2.spin_down_time)):
        action = (wanted, wanted, wanted, wanted)
        after = fly(L2F_2, rest((1,), rotors=start), action, 10)
        share = 1.0 - np.exp(-0.1 / time)
        assert np.isclose(after.rotors[0][0], start + wanted * share, atol=1e-4)


def test_a_disturbance_pushes_in_the_world_and_turns_in_the_body() -> None:
    half = np.sqrt(0.5)
    state = rest(())._replace(attitude=Quaternion(0.0, 0.0, half, half))
    wrench = Wrench(Vector(0.027, 0.0, 0.0), Vector(3.85e-6, 0.0, 0.0))
    rate = derivative(Model.of(L2F_PAPER), state, rotor_command((-1.0, -1.0, -1.0, -1.0)), wrench)
    assert np.allclose(rate.velocity, [1.0, 0.0, -9.81], atol=1e-6)
    assert np.allclose(rate.rates, [1.0, 0.0, 0.0], atol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    with jax.enable_x64(True):
        start = jax.tree.map(lambda x: x[0], tumbling(np.random.default_rng(1), 1))
        model = Model.of(L2F_2)

        def height(action: jax.Array) -> jax.Array:
            after = start
            for _ in range(3):
                after = step(model, after, (action[0], action[1], action[2], action[3]))
            return after.position.z + after.attitude.x

        action = jnp.array([0.1, 0.3, -0.2, 0.4])
        gradient = jax.grad(height)(action)
        for i in range(4):
            nudge = 1e-5 * jnp.eye(4)[i]
            difference = (height(action + nudge) - height(action - nudge)) / 2e-5
            assert np.isclose(gradient[i], difference, rtol=1e-5)


def test_any_leading_axes_and_one_model_each_give_the_same_flight() -> None:
    state = tumbling(np.random.default_rng(2), 6)
    action = (jnp.full(6, 0.2),) * 4
    alike = Model.of(L2F_2)

    @jax.jit
    def both(state: State, action: tuple) -> tuple[State, State]:
        square = jax.tree.map(lambda x: x.reshape(2, 3), (state, action))
        each = jax.tree.map(lambda x: jnp.full((2, 3), x), alike)
        return step(alike, state, action), step(each, *square)

    flat, square = both(state, action)
    for a, b in zip(jax.tree.leaves(flat), jax.tree.leaves(square), strict=True):
        assert b.shape == (2, 3)
        assert np.allclose(a, b.reshape(6), rtol=1e-5, atol=1e-6)
