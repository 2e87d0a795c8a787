from __future__ import annotations

import dataclasses
import functools
import math

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import robot_rl  # noqa: F401 - registers the environments
from robot_rl.core.config import from_dict, to_dict
from robot_rl.core.errors import ConfigError, InvalidActionError
from sim.quadrotor.disturbance import blow, draw_disturbance
from sim.quadrotor.dynamics import Model, Vector, rest
from sim.quadrotor.environment import Flight, goal_of, observe, reset, reset_where, step
from sim.quadrotor.evaluation import Evaluator
from sim.quadrotor.layout import BALANCED, flight_spec
from sim.quadrotor.observation import add_noise, past_actions, remember
from sim.quadrotor.observation import observe as pack
from sim.quadrotor.parameters import L2F_2, L2F_PAPER
from sim.quadrotor.randomise import draw_model, on_battery
from sim.quadrotor.references import Reference, draw_reference, goal
from sim.quadrotor.rewards import reward, weights_at
from sim.quadrotor.settings import (
    LEVEL_START,
    NO_DISTURBANCE,
    PREVIEW,
    QUIET,
    TARGET_WEIGHTS,
    CurriculumSettings,
    DisturbanceSettings,
    FlightSettings,
    NoiseSettings,
    RandomisationSettings,
    ReferenceSettings,
    RewardSettings,
    StartSettings,
)
from sim.quadrotor.starts import draw_start, uniform_attitude

KEY = jax.random.key(7)
CALM_HOVER = FlightSettings(
    start=StartSettings(1.0, 0.0, 0.0, 0.0, 0.0, rotors=L2F_PAPER.hover_speed),
    disturbance=NO_DISTURBANCE,
    noise=QUIET,
    history=2,
    steps=30,
)


def test_the_paper_s_policy_sees_146_numbers_in_this_order() -> None:
    spec = flight_spec(32)
    assert tuple(spec.observation) == ("position", "rotation", "velocity", "rates", "actions")
    assert spec.observation.vector_size == 146
    assert spec.control_rate == 100.0
    assert spec.observation["actions"].names[:2] == ("rotor1-32", "rotor2-32")
    state = rest(())._replace(
        position=Vector(*map(jnp.float32, (0.1, 0.2, 0.3))), rates=Vector(*map(jnp.float32, (4, 5, 6)))
    )
    seen = pack(state, past_actions((), 32, 0.5))
    parts = spec.observation.unpack(np.asarray(seen))
    assert np.allclose(parts["position"], [0.1, 0.2, 0.3])
    assert np.allclose(parts["rotation"].reshape(3, 3), np.eye(3))
    assert np.allclose(parts["rates"], [4, 5, 6])
    assert np.allclose(parts["actions"], 0.5)


def test_scales_and_previews_are_part_of_the_spec() -> None:
    spec = flight_spec(8, PREVIEW, BALANCED)
    assert spec.observation.vector_size == 18 + 9 + 32
    assert spec.observation["preview"].names[3] == "x+0.2s"
    assert math.isclose(spec.observation["position"].scale, 1 / 3)
    assert spec.digest != flight_spec(8, (0.1, 0.2, 0.5), BALANCED).digest


def test_the_oldest_action_is_forgotten_first() -> None:
    history = jnp.arange(8.0)
    assert np.array_equal(remember(history, jnp.full(4, 9.0)), [4, 5, 6, 7, 9, 9, 9, 9])
    assert remember(jnp.zeros(0), jnp.ones(4)).shape == (0,)


def test_noise_is_on_what_is_measured_alone() -> None:
    noise = add_noise(KEY, jnp.zeros((20_000, 18 + 9 + 8)), NoiseSettings())
    found = np.asarray(noise.std(0))
    assert np.allclose(found[:12], 0.001, rtol=0.05)
    assert np.allclose(found[12:18], 0.002, rtol=0.05)
    assert (found[18:] == 0.0).all()


def test_starts_are_those_of_the_paper() -> None:
    n = 20_000
    state = jax.jit(lambda key: draw_start(key, (n,), StartSettings()))(KEY)
    p, q = np.asarray(state.position), np.asarray(state.attitude)
    guided = (p == 0.0).all(0)
    assert np.isclose(guided.mean(), 0.1, atol=0.01)
    assert np.array_equal(q[:, guided], np.repeat([[0.0], [0], [0], [1]], guided.sum(), 1))
    assert 0.19 < np.abs(p).max() <= 0.2
    angle = 2.0 * np.arccos(np.clip(np.abs(q[3]), 0.0, 1.0))
    assert angle.max() <= math.pi / 2 + 1e-3
    assert np.allclose(np.linalg.norm(q, axis=0), 1.0, atol=1e-5)
    # t - sin t over that of the limit is uniform.
    share = (angle - np.sin(angle))[~guided] / (math.pi / 2 - 1.0)
    assert np.allclose(
        np.quantile(share, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.02
    )
    assert np.allclose(np.asarray(state.rotors), 0.5)


def test_attitudes_up_to_half_a_turn_are_uniform_on_the_sphere_of_quaternions() -> None:
    q = np.asarray(uniform_attitude(KEY, (20_000,), math.pi))
    assert np.allclose(np.square(q).mean(1), 0.25, atol=0.01)


def test_a_start_is_around_the_moving_reference() -> None:
    place = goal(draw_reference(KEY, (), ReferenceSettings("figure-eight")), jnp.float32(3.0))
    state = draw_start(KEY, (), LEVEL_START, place)
    assert np.allclose(state.position, place.position)
    assert np.allclose(state.velocity, place.velocity)


def test_disturbances_are_parts_of_the_weight() -> None:
    model = Model.of(L2F_PAPER)
    push = draw_disturbance(KEY, (20_000,), model, DisturbanceSettings())
    weight = 0.027 * 9.81
    assert np.allclose(np.std(np.asarray(push.constant.force), axis=1), weight / 20, rtol=0.03)
    assert np.allclose(np.std(np.asarray(push.constant.torque), axis=1), weight / 10_000, rtol=0.03)


def test_gusts_keep_their_strength_and_fade_as_they_should() -> None:
    model, settings = Model.of(L2F_PAPER), DisturbanceSettings(gust=0.1, gust_time=0.2)
    first = draw_disturbance(KEY, (20_000,), model, settings)

    @jax.jit
    def later(keys: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda d, k: (blow(k, d, model, settings), None), first, keys)[0].gust.x

    after = np.asarray(later(jax.random.split(jax.random.key(3), 20)))
    assert np.isclose(after.std(), 0.1 * 0.027 * 9.81, rtol=0.03)
    correlation = np.corrcoef(np.asarray(first.gust.x), after)[0, 1]
    assert np.isclose(correlation, math.exp(-1.0), atol=0.03)


def test_one_set_stays_plain_numbers() -> None:
    assert draw_model(KEY, (8,), RandomisationSettings()) == Model.of(L2F_PAPER)


def test_sets_are_drawn_as_a_whole() -> None:
    model = draw_model(KEY, (3000,), RandomisationSettings(sets=("l2f-paper", "l2f-2", "gpd-cf2x")))
    mass, inertia = np.asarray(model.mass), np.asarray(model.inertia.x)
    second = np.isclose(mass, L2F_2.mass)
    assert np.isclose(second.mean(), 1 / 3, atol=0.04)
    assert np.allclose(inertia[second], L2F_2.inertia[0])
    assert {0.15, 0.0554545, 0.01} == {round(float(x), 7) for x in np.unique(np.asarray(model.spin_up_time))}


def test_blends_and_scatter_stay_within_their_limits() -> None:
    settings = RandomisationSettings(("l2f-paper", "l2f-2"), blend=True, battery=0.8, thrust_to_weight=1.3)
    model = draw_model(KEY, (2000,), settings)
    mass = np.asarray(model.mass)
    assert L2F_PAPER.mass <= mass.min() * 1.00001 and mass.max() <= L2F_2.mass * 1.00001
    assert mass.std() > 0.0005
    lift = 4 * sum(np.asarray(c) for c in model.thrust) / (mass * 9.81)
    assert lift.min() >= 1.3 - 1e-4
    scattered = draw_model(KEY, (2000,), RandomisationSettings(mass=0.25))
    found = np.asarray(scattered.mass) / L2F_PAPER.mass
    assert 0.8 <= found.min() < 0.81 and 1.24 < found.max() <= 1.2501


def test_a_battery_slows_the_rotors() -> None:
    model = on_battery(Model.of(L2F_2), 0.9)
    c0, c1, c2 = L2F_2.thrust
    assert np.isclose(sum(model.thrust), c0 + 0.9 * c1 + 0.81 * c2)


@pytest.mark.parametrize("kind", ["hover", "figure-eight", "random"])
def test_the_velocity_of_a_reference_is_its_derivative(kind: str) -> None:
    settings = from_dict(ReferenceSettings, {"kind": kind})
    curve = draw_reference(KEY, (4,), settings)
    at = jax.jit(functools.partial(goal, curve))
    for t in (0.5, 3.1):
        velocity = np.stack([np.broadcast_to(v, 4) for v in at(jnp.full(4, t)).velocity])
        ends = [
            np.stack([np.broadcast_to(p, 4) for p in at(jnp.full(4, t + dt)).position])
            for dt in (-0.01, 0.01)
        ]
        assert np.allclose(velocity, (ends[1] - ends[0]) / 0.02, atol=2e-3)


def test_the_figure_eight_is_two_metres_by_one_in_five_and_a_half_seconds() -> None:
    curve = draw_reference(KEY, (), ReferenceSettings("figure-eight"))
    times = jnp.linspace(2.0, 2.0 + 5.5, 400)
    x, y, z = (np.broadcast_to(p, 400) for p in goal(curve, times).position)
    assert np.allclose([np.ptp(x), np.ptp(y), np.ptp(z)], [2.0, 1.0, 0.0], atol=1e-3)
    assert np.allclose([x[0], y[0]], [x[-1], y[-1]], atol=1e-4)
    assert np.allclose(goal(curve, jnp.float32(0.0)).velocity, 0.0)


def test_random_references_stay_in_their_box_and_below_their_speed() -> None:
    settings = ReferenceSettings("random", period=3.0, speed=1.5)
    curve = draw_reference(KEY, (500,), settings)
    seen = jax.jit(jax.vmap(lambda t: goal(curve, t)))(jnp.linspace(0.0, 20.0, 300))
    size = [np.abs(np.asarray(p)).max() for p in (seen.position.x, seen.position.y, seen.position.z)]
    assert np.all(np.array(size) <= [1.0, 1.0, 0.5])
    assert size[0] > 0.5, "they hardly move"
    speed = np.sqrt(sum(np.square(np.asarray(v)) for v in seen.velocity))
    assert 0.9 < speed.max() <= 1.5


def test_previews_are_mean_velocities_from_now_on() -> None:
    curve = Reference(Vector(0.0, 0.0, 0.0), (Vector(1.0, 0.0, 0.0),), (Vector(0.0, 0.0, 0.0),), 1.0, 0.01)
    now = goal(curve, jnp.float32(1.0), (0.4,))
    phase = 1.0 - 0.005
    assert np.isclose(now.preview[0].x, (math.sin(phase + 0.4) - math.sin(phase)) / 0.4, atol=1e-5)


def test_the_reward_is_the_paper_s() -> None:
    state = rest(())._replace(position=Vector(*map(jnp.float32, (0.1, 0.0, 0.2))))
    hover = jnp.full(4, 0.334)
    assert np.isclose(reward(state, hover, TARGET_WEIGHTS), 2 - 0.5 * 40 * 0.05)
    assert np.isclose(reward(state, hover + 0.1, TARGET_WEIGHTS), 2 - 0.5 * (40 * 0.05 + 0.04))
    moving = state._replace(velocity=Vector(*map(jnp.float32, (0.0, 2.0, 0.0))))
    assert np.isclose(reward(moving, hover, RewardSettings()), 2 - 0.5 * (5 * 0.05 + 0.01 * 4))


def test_the_curriculum_raises_the_weights_up_to_the_target() -> None:
    first, curriculum = RewardSettings(), CurriculumSettings()
    assert weights_at(99_999, first, curriculum) == first
    third = weights_at(200_000, first, curriculum)
    assert np.allclose([third.position, third.velocity, third.action], [7.2, 0.0196, 0.0196])
    assert weights_at(10_000_000, first, curriculum) == TARGET_WEIGHTS


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlightSettings(reward=RewardSettings(position=-1.0)), "reward.position must be 0 or more"),
        (lambda: FlightSettings(reward=RewardSettings(constant=math.nan)), "reward.constant must be finite"),
        (lambda: StartSettings(guidance=1.5), r"guidance must be in \[0, 1\], not 1.5"),
        (lambda: NoiseSettings(position=math.nan), "position must be finite and at least 0"),
        (lambda: NoiseSettings(position=math.inf), "position must be finite and at least 0, not inf"),
        (lambda: DisturbanceSettings(gust_time=0.0), "gust_time must be finite and at least 0.001"),
        (lambda: RandomisationSettings(sets=()), "at least one"),
        (lambda: RandomisationSettings(sets=("l2f-papr",)), "did you mean 'l2f-paper'"),
        (lambda: from_dict(ReferenceSettings, {"kind": "circle"}), "circle"),
        (lambda: FlightSettings(preview=(0.1, -0.2)), "times ahead"),
        (lambda: FlightSettings(history=-1), "history must be in"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_settings_go_through_a_file() -> None:
    settings = FlightSettings(preview=PREVIEW, reference=ReferenceSettings("random"))
    assert from_dict(FlightSettings, to_dict(settings)) == settings


@functools.cache
def programs(settings: FlightSettings, n: int):
    def advance(flight: Flight, action: jax.Array):
        return step(flight, action, settings), observe(flight, settings)

    return jax.jit(lambda key: reset(key, settings, (n,))), jax.jit(advance)


def test_a_hovering_drone_earns_all_it_can_until_the_time_is_up() -> None:
    begin, advance = programs(CALM_HOVER, 3)
    flight = begin(KEY)
    action = jnp.full((3, 4), L2F_PAPER.hover_action)
    for i in range(CALM_HOVER.steps):
        (flight, outcome), seen = advance(flight, action)
        assert np.allclose(seen[:, :3], 0.0, atol=1e-5)
        assert np.allclose(outcome.reward, 2.0, atol=1e-5)
        assert not outcome.terminated.any()
        assert outcome.truncated.all() == (i == CALM_HOVER.steps - 1)
    assert np.allclose(flight.actions, L2F_PAPER.hover_action)


def test_an_episode_that_starts_late_on_its_reference_has_its_whole_time() -> None:
    task = FlightSettings(
        start=StartSettings(anywhere=True), reference=ReferenceSettings(kind="figure-eight"), steps=3
    )
    flight = reset(jax.random.key(0), task, (64,))
    assert int(flight.ahead.max()) > 500
    for ended in (False, False, True):
        flight, outcome = step(flight, jnp.zeros((64, 4)), task)
        assert bool(outcome.truncated.all()) is ended
    # And it went on from where it started.
    ahead = goal_of(flight, task).position.x
    alone = goal(flight.reference, 0.01 * (flight.ahead + 3)).position.x
    np.testing.assert_allclose(ahead, alone, atol=1e-5)


def test_leaving_the_box_ends_an_episode_without_a_reward_and_so_does_nan() -> None:
    begin, advance = programs(CALM_HOVER, 6)
    flight: Flight = begin(KEY)

    def spoilt(values: jax.Array, drone: int, value: float) -> jax.Array:
        return values.at[drone].set(value)

    s = flight.state
    state = s._replace(
        position=s.position._replace(x=spoilt(s.position.x, 1, 0.61)),
        velocity=s.velocity._replace(x=spoilt(s.velocity.x, 2, jnp.nan)),
        rates=s.rates._replace(z=spoilt(s.rates.z, 3, jnp.inf)),
        attitude=s.attitude._replace(w=spoilt(s.attitude.w, 4, jnp.nan)),
        rotors=(*s.rotors[:3], spoilt(s.rotors[3], 5, jnp.nan)),
    )
    last = flight._replace(state=state, steps=flight.steps + CALM_HOVER.steps - 1)
    (flight, outcome), _ = advance(last, jnp.full((6, 4), 0.334))
    assert np.array_equal(outcome.terminated, [False] + 5 * [True])
    assert np.array_equal(outcome.truncated, [True] + 5 * [False]), "an end is no matter of time"
    assert np.array_equal(outcome.reward[1:], np.zeros(5))
    anew = reset_where(outcome.terminated, jax.random.key(1), flight, CALM_HOVER)
    assert np.array_equal(anew.steps, [CALM_HOVER.steps, 0, 0, 0, 0, 0])
    assert np.isfinite(np.asarray(anew.state.velocity.x)).all()


def test_evaluation_counts_what_happens() -> None:
    settings = dataclasses.replace(CALM_HOVER, history=0, steps=120)
    evaluate = Evaluator(lambda action, seen: jnp.broadcast_to(action, (*seen.shape[:-1], 4)), settings, 8)
    good = evaluate(jnp.float32(L2F_PAPER.hover_action))
    assert (good.length, good.alive) == (120.0, 1.0)
    assert np.isclose(good.reward, 240.0, atol=0.1)
    assert good.error < 1e-3 and good.rms < 1e-3
    assert evaluate(jnp.float32(L2F_PAPER.hover_action)) == good
    fallen = evaluate(jnp.float32(-1.0))
    assert fallen.alive == 0.0 and 35 < fallen.length < 50
    assert math.isnan(fallen.error) and math.isnan(fallen.rms)


def test_one_quadrotor_passes_gymnasium_s_checks() -> None:
    env = gymnasium.make("robot_rl/Quadrotor-v0", settings={"history": 2})
    check_env(env.unwrapped, skip_render_check=True)


def test_many_quadrotors_reset_themselves_and_keep_the_last_observation() -> None:
    env = gymnasium.make_vec("robot_rl/Quadrotor-v0", num_envs=16, settings={"history": 2, "steps": 60})
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros((16, 4), np.float32))
    first, _ = env.reset(seed=3)
    again, _ = env.reset(seed=np.int64(3))  # type: ignore[arg-type]
    assert np.array_equal(first, again) and first.dtype == np.float32
    with pytest.raises(ConfigError, match="one seed is for all"):
        env.reset(seed=[3] * 16)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="num_envs must be at least 1, not 0"):
        gymnasium.make_vec("robot_rl/Quadrotor-v0", num_envs=0)
    ended_once = np.zeros(16, bool)
    for _ in range(60):
        seen, paid, terminated, truncated, info = env.step(np.full((16, 4), 0.334, np.float32))
        assert env.observation_space.contains(seen) and paid.dtype == np.float32
        ended = terminated | truncated
        ended_once |= ended
        if ended.any():
            assert np.array_equal(info["_final_obs"], ended)
            out = np.abs(info["final_obs"][terminated, :3]).max(1)
            assert (out > 0.59).all()
            assert (np.abs(seen[ended, :3]) < 0.21).all()
    assert ended_once.all()
    with pytest.raises(InvalidActionError, match="not finite"):
        env.step(np.full((16, 4), np.nan, np.float32))
    with pytest.raises(InvalidActionError, match=r"expected \(16, 4\)"):
        env.step(np.zeros((15, 4), np.float32))
