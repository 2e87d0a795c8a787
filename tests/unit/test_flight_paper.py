"""The training of "Learning to Fly in Seconds": replay, rewards, schedule, reproducibility."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from policies.mlp_policy import MlpPolicy
from robot_rl.core.errors import ConfigError
from robot_rl.learn.compile import in_one_kernel
from robot_rl.learn.flight import gradient, paper_replay, paper_rounds, paper_validation, paper_world, td3
from robot_rl.learn.flight.paper import PaperTrainer
from robot_rl.learn.flight.paper_settings import HISTORY, AblationConfig, PaperConfig
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.settings import TARGET_WEIGHTS, CurriculumSettings, RewardSettings

SMALL = PaperConfig(
    steps=201,
    hidden=(8,),
    batch_size=16,
    critic_warmup=50,
    actor_warmup=100,
    evaluate_every=100,
    episodes=4,
    episode_steps=40,
    validate_every=200,
    validation_flights=6,
    curriculum=CurriculumSettings(every=100),
)
"""21 rounds."""


@pytest.fixture(scope="module")
def trainer() -> PaperTrainer:
    """A compiled small training."""
    return PaperTrainer(SMALL)


@pytest.fixture(scope="module")
def flown() -> dict[str, Any]:
    """300 steps of an untrained actor, 40 an episode: transitions of a replay buffer, and what they were."""
    config, steps = dataclasses.replace(SMALL, steps=301), 300
    model = paper_world.model_of(config)
    actor = td3.init_network(jax.random.key(1), [146, 8, 4])
    chance = paper_world.draw_chance(jax.random.key(2), config, model, steps)

    def one(world: paper_world.World, now: paper_world.Chance) -> tuple[paper_world.World, tuple]:
        after, row = paper_world.fly(config, model, actor, world, now, jnp.float32(0.1))
        return after, (world, row)

    first = paper_world.start(jax.random.key(3), config)

    @jax.jit
    def flights(world: paper_world.World, chance: paper_world.Chance) -> tuple:
        worlds, rows = in_one_kernel(lambda w, c: jax.lax.scan(one, w, c)[1], world, chance)
        empty = paper_replay.create(config.steps, config.history)
        buffer = paper_replay.write(empty, jnp.int32(0), rows)
        return worlds, paper_replay.draw(buffer, jnp.arange(steps), paper_world.told(config))

    worlds, batch = jax.tree.map(np.asarray, flights(first, chance))
    return {"worlds": worlds, "chance": chance, "batch": batch}


def test_replay_rebuilds_what_the_actor_saw(flown: dict[str, Any]) -> None:
    worlds, batch = flown["worlds"], flown["batch"]
    np.testing.assert_array_equal(batch.seen[:, 18:], worlds.actions)
    noise = np.asarray(flown["chance"].noise, np.float32)
    position = np.stack(worlds.state.position, axis=-1)
    np.testing.assert_allclose(batch.seen[:, :3], position + noise[:, :3], atol=1e-7)
    np.testing.assert_allclose(batch.seen[:, 12:15], np.stack(worlds.state.velocity, -1) + noise[:, 12:15])
    ages = worlds.age
    assert (ages == 0).sum() > 5, "the flight is to have several episodes"
    # Before an episode's start its history holds the action that keeps the rotors as they are.
    for i in np.flatnonzero(ages < HISTORY):
        assert not batch.seen[i, 18 : 18 + 4 * (HISTORY - ages[i])].any()


def test_critics_see_the_state_the_wrench_and_the_rotors(flown: dict[str, Any]) -> None:
    worlds, x = flown["worlds"], flown["batch"].exact
    state = worlds.state
    np.testing.assert_array_equal(x[:, :3], np.stack(state.position, -1))
    np.testing.assert_allclose(x[:, 3], 1 - 2 * (state.attitude.y**2 + state.attitude.z**2), atol=1e-6)
    np.testing.assert_array_equal(x[:, 12:18], np.stack([*state.velocity, *state.rates], -1))
    np.testing.assert_array_equal(x[:, 18:24], np.stack([*worlds.wrench.force, *worlds.wrench.torque], -1))
    np.testing.assert_allclose(x[:, 24:], 2 * np.stack(state.rotors, -1) - 1, atol=1e-6)
    config = SMALL
    seen = flown["batch"].seen
    np.testing.assert_array_equal(paper_rounds.critic_sees(config, flown["batch"].exact, seen), x)
    calm = dataclasses.replace(config, ablation=AblationConfig(disturbance=False))
    left = paper_rounds.critic_sees(calm, flown["batch"].exact, seen)
    np.testing.assert_array_equal(left, np.delete(x, np.s_[18:24], axis=1))


def test_replay_gives_the_state_after_an_episode_too(flown: dict[str, Any]) -> None:
    worlds, batch = flown["worlds"], flown["batch"]
    ages = worlds.age
    goes_on = np.flatnonzero(ages[1:] > 0)
    assert 0 < len(goes_on) < 299
    np.testing.assert_allclose(batch.exact_after[goes_on], batch.exact[goes_on + 1], atol=1e-6)
    # The last actions seen after a step are those seen before it, and the step's own.
    history = batch.seen_after[:, 18:]
    np.testing.assert_array_equal(history[:, :-4], batch.seen[:, 22:])
    np.testing.assert_array_equal(history[:, -4:], batch.action)
    # Episodes that ended did so outside of the box, or after 40 steps.
    ends = np.flatnonzero(ages[1:] == 0)
    outside = np.abs(batch.exact_after[:, :3]).max(-1) > SMALL.bound
    np.testing.assert_array_equal(batch.terminated, outside)
    assert (outside[ends] | (ages[ends] == 39)).all()
    assert ages.max() == 39 and not outside[ends].all(), "some last to the end of their time"


def test_rewards_follow_from_what_is_stored(flown: dict[str, Any]) -> None:
    batch, state = flown["batch"], flown["worlds"].state
    p, v = np.stack(state.position, -1), np.stack(state.velocity, -1)
    tilt, off = 1.0 - state.attitude.w**2, batch.action - 0.334
    for weights in (RewardSettings(), RewardSettings(6.0, 5.0, 0.014, 0.014), TARGET_WEIGHTS):
        w = weights
        cost = w.position * (p**2).sum(-1) + w.orientation * tilt + w.velocity * (v**2).sum(-1)
        wanted = 2.0 - 0.5 * (cost + w.action * (off**2).sum(-1))
        wanted = np.where(batch.terminated, 0.0, wanted)
        np.testing.assert_allclose(paper_replay.reward(batch, weights), wanted, rtol=1e-5, atol=1e-5)
    assert batch.terminated.any()


def weights_at(config: PaperConfig, step: int) -> tuple[float, ...]:
    """Position, orientation, velocity, action."""
    w = paper_rounds.Weights.of(config).at(config, jnp.int32(step))
    return tuple(float(x) for x in (w.position, w.orientation, w.velocity, w.action))


def test_curriculum_changes_all_rewards_at_twice_100k_steps() -> None:
    config = PaperConfig()
    assert weights_at(config, 99_990) == pytest.approx((5.0, 5.0, 0.01, 0.01))
    assert weights_at(config, 100_000) == pytest.approx((6.0, 5.0, 0.014, 0.014))
    assert weights_at(config, 200_000) == pytest.approx((7.2, 5.0, 0.0196, 0.0196))
    assert weights_at(config, 300_000) == pytest.approx((7.2, 5.0, 0.0196, 0.0196))
    without = dataclasses.replace(config, ablation=AblationConfig(curriculum=False))
    assert weights_at(without, 300_000) == pytest.approx((5.0, 5.0, 0.01, 0.01))
    target = dataclasses.replace(config, ablation=AblationConfig(initial_reward=False))
    assert weights_at(target, 0) == pytest.approx((40.0, 5.0, 1.0, 1.0))


def test_rewards_keep_the_weights_of_their_time_without_recalculation(flown: dict[str, Any]) -> None:
    weights = paper_rounds.Weights.of(SMALL).at(SMALL, jnp.arange(300))
    rewards = np.asarray(paper_replay.reward(flown["batch"], weights))
    first, third = (
        np.asarray(
            paper_replay.reward(flown["batch"], paper_rounds.Weights.of(SMALL).at(SMALL, jnp.int32(step)))
        )
        for step in (0, 200)
    )
    np.testing.assert_allclose(rewards[:100], first[:100], rtol=1e-6)
    assert not np.allclose(rewards[100:200], first[100:200])
    # 201 steps have no third stage: the very last step changes nothing.
    np.testing.assert_allclose(rewards[200:], third[200:], rtol=1e-6)


def test_updates_follow_the_schedule(trainer: PaperTrainer) -> None:
    result = trainer.train(0)
    assert [p.step for p in result.curve] == [0, 100, 200]
    # Critics after steps 60, 70 .. 200; the actor after 120, 140 .. 200.
    assert [p.critic_updates for p in result.curve] == [0, 5, 15]
    assert [p.actor_updates for p in result.curve] == [0, 0, 5]
    assert result.final.progress.step == 200
    assert result.best.progress.evaluation.length == max(p.evaluation.length for p in result.curve)


def test_a_seed_gives_the_same_bits(trainer: PaperTrainer) -> None:
    first, second, third = trainer.train(0), trainer.train(0, every=70), trainer.train(1)
    assert [p.step for p in second.curve] == [0, 70, 140, 200]
    for name, value in first.final.weights.items():
        np.testing.assert_array_equal(value, second.final.weights[name])
        assert not np.array_equal(value, third.final.weights[name])


def test_the_weights_fly_without_jax(trainer: PaperTrainer) -> None:
    weights = trainer.train(0).final.weights
    vectors = np.random.default_rng(0).normal(size=(5, 146)).astype(np.float32)
    flies = MlpPolicy(flight_spec(HISTORY), weights).act(vectors)
    np.testing.assert_allclose(flies, gradient.act(jax.tree.map(jnp.asarray, weights), vectors), atol=1e-5)


def test_validations_happen_where_they_should(trainer: PaperTrainer) -> None:
    curve = trainer.train(0).curve
    assert [p.validation is not None for p in curve] == [True, False, True]
    first = curve[0].validation
    assert first is not None
    assert first.flights == 6
    assert 0 <= first.completed <= 6


def test_validation_looks_at_flights_that_last() -> None:
    steps = 300
    before, after = np.zeros((4, steps, 28), np.float32), np.zeros((4, steps, 28), np.float32)
    before[:, :, [3, 7, 11]] = 1.0
    before[0, 50, :3] = (0.3, 0.4, 0.0)  # too early to count
    before[0, 150, :3] = (0.0, 0.3, 0.0)
    before[1, 250, :3] = (0.0, 0.0, 0.1)
    before[1, 250, 12:15] = (3.0, 0.0, 4.0)
    before[2, 250, 3:12] = np.diag([1.0, -1.0, -1.0]).ravel()  # upside down
    after[2, 250, 15:18] = (0.0, 0.02, 0.0)
    after[:3, -1, 0] = (0.19, 0.21, 0.0)
    before[3, 250, 0] = 9.0  # of a flight that ends early
    rows = np.zeros((4, steps, paper_replay.WIDTH), np.float32)
    rows[..., :28], rows[..., 32:60] = before, after
    rows[3, 10, -1] = 1.0
    found = paper_validation.judge(rows)
    assert (found.flights, found.completed, found.settled) == (4, 3, 0.5)
    largest = found.largest
    assert largest["position_after_100"].mean == pytest.approx(0.4 / 3)
    assert largest["position_after_200"].mean == pytest.approx(0.1 / 3)
    assert largest["position_after_200"].deviation == pytest.approx(np.std([0.0, 0.1, 0.0]))
    assert largest["velocity_after_200"].mean == pytest.approx(5.0 / 3)
    assert largest["angle_after_200"].mean == pytest.approx(np.pi / 3)
    assert largest["acceleration_after_200"].mean == pytest.approx(2.0 / 3)
    assert largest["rates_after_100"].mean == 0.0
    rows[..., -1] = 1.0
    nobody = paper_validation.judge(rows)
    assert (nobody.completed, nobody.settled) == (0, 0.0)
    assert set(nobody.figures()) == {"completed", "settled"}


@pytest.mark.parametrize(
    ("off", "seen", "critic_sees"),
    [
        ("disturbance", 146, 22),
        ("observation_noise", 146, 28),
        ("asymmetric_critic", 146, 146),
        ("rotor_delay", 146, 24),
        ("action_history", 18, 28),
        ("reward_recalculation", 146, 28),
        ("exploration_decay", 146, 28),
    ],
)
def test_every_switch_leaves_out_its_part(off: str, seen: int, critic_sees: int) -> None:
    config = dataclasses.replace(SMALL, ablation=AblationConfig(**{off: False}))
    learner = jax.eval_shape(lambda key: paper_rounds.create(config, key), jax.random.key(0))
    assert learner.networks.actor["layers.0.weight"].shape == (seen, 8)
    assert learner.networks.critics["layers.0.weight"].shape == (2, critic_sees + 4, 8)
    after = jax.eval_shape(lambda x: paper_rounds.advance(config, x, 0, 21), learner)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), learner
    )
    assert config.flight.reward == TARGET_WEIGHTS
    assert config.flight.disturbance.force > 0.0, "evaluations leave nothing out"


def test_rotors_without_delay_turn_as_told() -> None:
    config = dataclasses.replace(SMALL, ablation=AblationConfig(rotor_delay=False, disturbance=False))
    model = paper_world.model_of(config)
    actor = td3.init_network(jax.random.key(1), [146, 8, 4])
    chance = paper_world.draw_chance(jax.random.key(2), config, model, 1)
    now = jax.tree.map(lambda x: x[0], chance)
    world = paper_world.start(jax.random.key(3), config)
    after, _ = paper_world.fly(config, model, actor, world, now, jnp.float32(0.1))
    np.testing.assert_allclose(after.state.rotors, 0.5 * (after.actions[-4:] + 1.0), atol=1e-6)
    assert not np.any(after.wrench.force)


def test_exploration_decays_from_500k_on() -> None:
    config = PaperConfig()
    factors = [float(paper_rounds.exploration(config, jnp.int32(n))) for n in (0, 499_990, 500_000, 600_000)]
    assert factors == pytest.approx([1.0, 1.0, 0.9, 0.81])
    off = dataclasses.replace(config, ablation=AblationConfig(exploration_decay=False))
    assert float(paper_rounds.exploration(off, jnp.int32(900_000))) == 1.0


def test_noise_of_the_targets_is_clipped_and_decays() -> None:
    config, standard = PaperConfig(), jnp.asarray([0.0, 1.0, -2.0, 3.0, -9.0])
    first = paper_rounds.target_noise(config, jnp.int32(0), standard)
    np.testing.assert_allclose(first, [0.0, 0.2, -0.4, 0.5, -0.5], rtol=1e-6)
    late = paper_rounds.target_noise(config, jnp.int32(500_000), standard)
    np.testing.assert_allclose(late, 0.9 * np.asarray(first), rtol=1e-6)


def test_rows_are_drawn_from_all_that_were_written() -> None:
    bits = jax.random.bits(jax.random.key(0), (4000,))
    rows = np.asarray(paper_rounds.uniform_rows(bits, jnp.int32(9)))
    np.testing.assert_allclose(np.bincount(rows, minlength=10) / 4000, 0.1, atol=0.02)
    assert len(np.bincount(rows)) == 10


def test_targets_follow_their_networks_slowly(trainer: PaperTrainer) -> None:
    begun = trainer._begin(jax.random.key(0))
    before = jax.tree.map(np.array, begun.networks)
    after = jax.tree.map(np.asarray, trainer._run(begun, jnp.int32(0), jnp.int32(21)).networks)
    for name, first in before.critics.items():
        assert not np.array_equal(first[0], first[1]), "two critics that are alike are one"
        learned, followed = after.critics[name] - first, after.critic_targets[name] - first
        # 15 updates, of half a hundredth each.
        assert 0.0 < np.abs(followed).max() < 0.3 * np.abs(learned).max()
    for name, first in before.actor.items():
        learned, followed = after.actor[name] - first, after.actor_target[name] - first
        assert 0.0 < np.abs(followed).max() < 0.3 * np.abs(learned).max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 300_000}, "multiples of interval"),
        ({"steps": 1}, "steps must be more than interval"),
        ({"critic_warmup": 0}, "critic_warmup must be at least interval"),
        ({"discount": 1.5}, "discount must be in"),
        ({"hidden": ()}, "at least one positive width"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"vehicle": "l2f-papr"}, "did you mean 'l2f-paper'"),
        ({"reward": RewardSettings(velocity=-0.1)}, "reward.velocity must be 0 or more"),
        ({"exploration": -0.1}, "exploration must not be negative"),
    ],
)
def test_settings_refuse_what_cannot_run(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PaperConfig(), **change)
