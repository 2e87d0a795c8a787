"""Training by gradients through the simulator: its parts, and that a seed is a result."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from policies.mlp_policy import MlpPolicy
from robot_rl.core.errors import ConfigError
from robot_rl.learn.flight.arrays import arrays_of, outline, with_arrays
from robot_rl.learn.flight.gradient import (
    Cost,
    Inputs,
    Metrics,
    Pilot,
    Schedule,
    act,
    create,
    exported,
    fly,
    inputs_of,
    step_cost,
    update,
)
from robot_rl.learn.flight.settings import CostSettings, GradientSettings
from robot_rl.learn.flight.trainer import Trainer
from robot_rl.tasks.flight import SCALES
from sim.quadrotor.dynamics import Quaternion, State, Vector
from sim.quadrotor.environment import Flight, reset
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.references import HOVER_GOAL, goal
from sim.quadrotor.settings import DisturbanceSettings, FlightSettings, ReferenceSettings

TASK = FlightSettings(history=4)
SPEC = flight_spec(4, scales=SCALES)
SMALL = GradientSettings(
    hidden=(32, 32), worlds=32, window=32, windows=6, updates=80, block=10, learning_rate=1e-2
)


def state(
    position=(0.0, 0.0, 0.0),
    velocity=(0.0, 0.0, 0.0),
    rates=(0.0, 0.0, 0.0),
    attitude=(0.0, 0.0, 0.0, 1.0),
) -> State:
    return State(
        Vector(*position), Quaternion(*attitude), Vector(*velocity), Vector(*rates), (0.5, 0.5, 0.5, 0.5)
    )


def drawn(task: FlightSettings, shape: tuple[int, ...]) -> Flight:
    return reset(jax.random.key(1), task, shape)._replace(key=None)


def cost_of(flown: State, hover: float = 0.0, **weights: float) -> float:
    nothing = {field.name: 0.0 for field in dataclasses.fields(CostSettings)}
    cost = Cost.of(CostSettings(**(nothing | weights)))
    return float(step_cost(cost, flown, jnp.zeros(4), HOVER_GOAL, jnp.float32(hover)))


def test_the_cost_is_half_a_sum_of_squares():
    assert cost_of(state((0.1, 0.2, 0.2)), position=100.0) == pytest.approx(0.5 * 100.0 * 0.09)
    assert cost_of(state(velocity=(1.0, 0.0, 1.0)), velocity=3.0) == pytest.approx(0.5 * 3.0 * 2.0)
    assert cost_of(state(rates=(0.0, 2.0, 0.0)), rates=0.1) == pytest.approx(0.5 * 0.1 * 4.0)
    half = 0.5**0.5
    assert cost_of(state(attitude=(0.0, half, 0.0, half)), tilt=5.0) == pytest.approx(0.5 * 5.0 * 0.5)
    assert cost_of(state(), hover=0.3, action=2.0) == pytest.approx(0.5 * 2.0 * 4 * 0.09)


@pytest.mark.parametrize(
    ("what", "far"), [("position", 0.5), ("velocity", 2.0), ("rates", 5.0)], ids=lambda x: str(x)
)
def test_far_away_the_cost_goes_on_along_its_tangent(what, far):
    def at(distance: float) -> float:
        return cost_of(state(**{what: (distance, 0.0, 0.0)}), **{what: 2.0})

    assert at(far) == pytest.approx(far**2)
    for beyond in (0.5, 1.0, 4.0):
        assert at(far + beyond) == pytest.approx(far**2 + 2.0 * far * beyond, rel=1e-5)


def test_the_wall_stands_where_it_should():
    assert cost_of(state((0.5, -0.5, 0.3)), wall=50.0, wall_at=0.5) == 0.0
    assert cost_of(state((0.0, -0.6, 0.0)), wall=50.0, wall_at=0.5) == pytest.approx(0.25, rel=1e-4)


def test_the_exported_weights_are_the_same_policy():
    """Training sees (seen - centre) / scale, a bundle's runtime seen / scale."""
    inputs = inputs_of(TASK, SPEC.observation.vector_scale)
    fresh = drawn(TASK, (1, SMALL.worlds))
    pilot = create(SMALL, TASK, arrays_of(fresh), 3)
    seen = np.random.default_rng(0).normal(size=(50, SPEC.observation.vector_size)).astype(np.float32)
    trained = act(pilot.params, (seen - inputs.centre) / inputs.scale)
    flown = MlpPolicy(SPEC, exported(pilot.params, inputs)).act(seen)
    np.testing.assert_allclose(flown, trained, atol=2e-6)


def test_a_new_policy_hovers_whatever_it_sees():
    fresh = drawn(TASK, (1, SMALL.worlds))
    pilot = create(SMALL, TASK, arrays_of(fresh), 0)
    action = act(pilot.params, np.zeros((1, SPEC.observation.vector_size), np.float32))
    np.testing.assert_allclose(action, 0.334, atol=1e-3)
    assert len(set(np.asarray(pilot.age).tolist())) > 1


def test_worlds_around_a_path_start_anywhere_along_it():
    start = dataclasses.replace(TASK.start, anywhere=True)
    task = dataclasses.replace(TASK, start=start, reference=ReferenceSettings(kind="figure-eight"))
    flight = drawn(task, (500,))
    assert 0 <= int(flight.ahead.min()) < 20
    assert 730 < int(flight.ahead.max()) < 750
    assert float(jnp.abs(flight.state.position.x).max()) > 1.0


def test_without_rotor_delay_rotors_follow_at_once():
    vehicle = dataclasses.replace(TASK.vehicle, rotor_delay=False)
    flight = drawn(dataclasses.replace(TASK, vehicle=vehicle), (4,))
    assert flight.model.spin_up_time == flight.model.spin_down_time == 0.01


def test_only_arrays_are_carried_and_constants_stay():
    flight = drawn(TASK, (4,))
    assert flight.model.mass == 0.027
    arrays = arrays_of(flight)
    again = with_arrays(outline(flight), [a + 1 for a in arrays])
    assert again.model == flight.model
    np.testing.assert_array_equal(again.state.position.x, flight.state.position.x + 1)


def test_the_gradient_is_that_of_the_cost():
    """Automatic derivative through policy, sensors, gusts and Runge-Kutta against a finite difference."""
    task = dataclasses.replace(TASK, disturbance=DisturbanceSettings(gust=0.1))
    inputs = Inputs(*map(jnp.asarray, inputs_of(task, SPEC.observation.vector_scale)))
    fresh = drawn(task, (1, 4))
    small = dataclasses.replace(SMALL, worlds=4)
    pilot = create(small, task, arrays_of(fresh), 1)
    flight = with_arrays(fresh, pilot.flights)
    rng = np.random.default_rng(0)
    direction = {name: rng.normal(size=value.shape) for name, value in pilot.params.items()}

    def loss(size: jax.Array) -> jax.Array:
        params = {name: value + size * direction[name] for name, value in pilot.params.items()}
        _, (states, actions, goals) = fly(params, inputs, task, flight, jax.random.key(3), 8)
        return step_cost(Cost.of(CostSettings()), states, actions, goals, 0.334).mean()

    derived = jax.jit(jax.value_and_grad(loss))
    h = 1e-3
    difference = (derived(h)[0] - derived(-h)[0]) / (2.0 * h)
    assert float(derived(0.0)[1]) == pytest.approx(float(difference), rel=0.02)


def test_training_flies_with_noise_and_compares_with_where_the_reference_will_be():
    task = dataclasses.replace(TASK, reference=ReferenceSettings(kind="figure-eight"))
    inputs = Inputs(*map(jnp.asarray, inputs_of(task, SPEC.observation.vector_scale)))
    fresh = drawn(task, (1, 4))
    pilot = create(dataclasses.replace(SMALL, worlds=4), task, arrays_of(fresh), 1)
    flight = with_arrays(fresh, pilot.flights)
    noisy = jax.jit(lambda key: fly(pilot.params, inputs, task, flight, key, 3)[1])
    _, first, goals = noisy(jax.random.key(0))
    _, second, _ = noisy(jax.random.key(1))
    assert np.abs(np.asarray(first[0] - second[0])).max() > 1e-6
    expected = goal(flight.reference, 0.01 * jnp.arange(1.0, 4.0)[:, None]).velocity
    np.testing.assert_allclose(goals.velocity.y[:, 0], expected.y[:, 0], atol=1e-6)


def test_an_update_takes_a_bounded_step_and_restarts_the_worlds_that_are_lost_or_old():
    settings = dataclasses.replace(SMALL, worlds=4, window=4, windows=6, warmup=10, max_norm=0.02)
    inputs = Inputs(*map(jnp.asarray, inputs_of(TASK, SPEC.observation.vector_scale)))
    fresh = drawn(TASK, (2, 4))
    pilot = create(settings, TASK, arrays_of(fresh), 0)
    flight = with_arrays(fresh, pilot.flights)
    x = flight.state.position.x.at[1].set(0.7)  # world 1 is out of its box, 2 is in its last window
    flight = flight._replace(state=flight.state._replace(position=flight.state.position._replace(x=x)))
    pilot = pilot._replace(flights=arrays_of(flight), age=jnp.asarray([0, 1, 5, 2]))
    new = with_arrays(fresh, [a[1] for a in arrays_of(fresh)])

    @jax.jit
    def once(pilot: Pilot, new: list, key: jax.Array) -> tuple[Pilot, Metrics]:
        knobs = (inputs, Cost.of(settings.cost), Schedule.of(settings))
        return update(settings, TASK, knobs, pilot, with_arrays(fresh, new), key, jnp.int32(0))

    after, metrics = once(pilot, arrays_of(new), jax.random.key(0))
    np.testing.assert_array_equal(after.age, [1, 0, 0, 3])
    assert float(metrics.lost) == 0.25
    flown = with_arrays(fresh, after.flights)
    np.testing.assert_array_equal(flown.steps, [4, 0, 0, 4])
    anew = np.asarray(flown.state.position.x == new.state.position.x)
    np.testing.assert_array_equal(anew, [False, True, True, False])
    assert float(metrics.norm) > 0.02, "this gradient is to be longer than the limit"
    first = np.concatenate([np.ravel(m) for m in after.moments.first.values()])
    assert np.linalg.norm(first) == pytest.approx(0.1 * 0.02, rel=1e-3)
    # Adam's first step has the size of the rate in every weight, here a tenth of the largest.
    moved = max(
        float(np.abs(np.asarray(after.params[k]) - np.asarray(v)).max()) for k, v in pilot.params.items()
    )
    assert moved == pytest.approx(settings.learning_rate / 10, rel=1e-2)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(SMALL, TASK, SPEC)


@pytest.fixture(scope="module")
def trained(trainer):
    curve = []
    return trainer.train(SMALL, 0, lambda updates, metrics: curve.append((updates, metrics))), curve


def test_a_short_training_learns(trained):
    result, curve = trained
    assert [updates for updates, _ in curve] == list(range(10, 81, 10))
    assert result.updates == 80
    assert result.env_steps == 80 * 32 * 32
    assert result.invalid == 0
    assert curve[-1][1]["distance"] < 0.5 * curve[0][1]["distance"]
    assert curve[-1][1]["lost"] == 0.0


def test_a_seed_gives_the_same_bits(trainer, trained):
    again = trainer.train(SMALL, 0)
    for name, value in trained[0].weights.items():
        np.testing.assert_array_equal(again.weights[name], value)


def test_another_seed_and_another_cost_give_another_policy_of_the_same_program(trainer, trained):
    first = trained[0].weights["layers.0.weight"]
    other = dataclasses.replace(SMALL, updates=10, cost=CostSettings(position=50.0))
    same_seed = trainer.train(dataclasses.replace(other, cost=SMALL.cost), 0)
    assert np.abs(trainer.train(other, 0).weights["layers.0.weight"] - first).max() > 1e-3
    assert np.abs(trainer.train(other, 1).weights["layers.0.weight"] - first).max() > 1e-3
    assert same_seed.updates == 10
    with pytest.raises(ConfigError, match="compiled for another window, windows: make a new one"):
        trainer.train(dataclasses.replace(SMALL, window=16, windows=2), 0)


def test_an_update_that_is_not_a_number_is_left_out(trainer):
    """A cost that overflows must not ruin the weights."""
    broken = dataclasses.replace(SMALL, updates=10, cost=CostSettings(position=3e38))
    result = trainer.train(broken, 0)
    assert result.invalid > 0
    assert all(np.isfinite(value).all() for value in result.weights.values())
