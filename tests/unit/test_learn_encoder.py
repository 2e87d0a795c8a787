"""The encoder trained end to end: shifts, gradients, learning, NumPy parity, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from policies.bundle import Bundle, load_bundle, save_bundle
from policies.gaussian_policy import GaussianPolicy
from robot_rl.core.errors import ConfigError, PolicyError, SpecError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import Transition
from robot_rl.learn import agent, encoder, networks, replay, update
from robot_rl.learn.learner import Learner
from robot_rl.learn.settings import LearnerConfig
from tests.unit.learner_samples import POINT, QUICK, SPEC, TINY, guessed, noise_stream, noise_transition

CONFIG = dataclasses.replace(TINY, force_cpu=True)
DISCRETE = dataclasses.replace(CONFIG, gripper="discrete")


def looking(spec: EnvSpec, *cameras: str, height: int = 12, width: int = 10) -> EnvSpec:
    """The same task with pictures."""
    image = ArraySpec((height, width, 3), low=0, high=255, dtype="uint8")
    arrays = dict(spec.observation.entries) | {f"{camera}.image": image for camera in cameras}
    return EnvSpec(Spec.of(arrays), spec.action, spec.control_rate, spec.name)


SEEN = looking(SPEC, "wrist", "side")


def with_pictures(transition: Transition, spec: EnvSpec = SEEN) -> Transition:
    rng = np.random.default_rng([transition.key.sequence, 2])
    images = [
        {
            name: rng.integers(0, 256, spec.observation[name].shape, np.uint8)
            for name in spec.observation.image_names
        }
        for _ in range(2)
    ]
    return dataclasses.replace(
        transition,
        observation={**transition.observation} | images[0],
        next_observation={**transition.next_observation} | images[1],
    )


def made(config: LearnerConfig) -> agent.Agent:
    """An agent with weights as uneven as learned ones."""
    agent_ = agent.create(agent.shape_of(SEEN, config), config, 0)
    rng = np.random.default_rng(0)

    def uneven(params: networks.Params | None) -> networks.Params:
        return {k: v + 0.2 * rng.standard_normal(v.shape, np.float32) for k, v in (params or {}).items()}

    return agent_._replace(
        actor=uneven(agent_.actor), gripper=uneven(agent_.gripper), encoder=uneven(agent_.encoder)
    )


@pytest.mark.parametrize("config", [CONFIG, DISCRETE], ids=["continuous", "discrete"])
def test_numpy_and_jax_agree(config: LearnerConfig, tmp_path: Path) -> None:
    learned = made(config)
    weights = agent.actor_arrays(learned, config)
    save_bundle(tmp_path, Bundle(SEEN, weights, 7))
    policy = load_bundle(tmp_path, SEEN).policy()
    observations = [with_pictures(noise_transition(n)).observation for n in range(20)]
    packed = np.stack([SPEC.observation.vector(o) / SPEC.observation.vector_scale for o in observations])
    pictures = np.stack([np.stack([o["wrist.image"], o["side.image"]]) for o in observations])
    assert learned.encoder is not None
    features = jax.jit(encoder.encode)(learned.encoder, jnp.asarray(pictures))
    assert features.shape == (20, 2 * encoder.feature_count(12, 10))
    mean, _ = networks.actor(learned.actor, jnp.asarray(packed), config.max_std, features)
    actions = np.stack([policy(o, None) for o in observations])
    np.testing.assert_allclose(actions[:, : mean.shape[-1]], np.tanh(mean), atol=1e-5)
    if config.gripper == "discrete":
        choice = np.asarray(networks.values(learned.gripper, jnp.asarray(packed), features)).argmax(-1) - 1.0
        assert len(np.unique(choice)) > 1
        np.testing.assert_array_equal(actions[:, -1], choice)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.pop("encoder.1.0.weight"),
            r"no array encoder\.1\.0\.weight for the camera of 'side\.image'",
        ),
        (lambda w: w.pop("encoder.0.2.bias"), r"encoder\.0\.2\.bias has shape \(0,\), expected \(32,\)"),
        (
            lambda w: w.update({"encoder.0.1.weight": w["encoder.0.1.weight"][:, :, :8]}),
            r"encoder\.0\.1\.weight has shape \(3, 3, 8, 32\), expected \(3, 3, 32, outputs\)",
        ),
        (lambda w: w.pop("encoder.0.3.weight"), r"unexpected arrays|trunk\.weight has shape"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(change, message: str) -> None:
    weights = dict(agent.actor_arrays(made(CONFIG), CONFIG))
    change(weights)
    with pytest.raises(PolicyError, match=message):
        GaussianPolicy(SEEN, weights)


def test_a_shift_moves_the_picture_and_repeats_its_edge() -> None:
    picture = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    views = jnp.array([40, 0, 80, 4 * 9 + 5])  # none, 4 down and right, 4 up and left, 1 left
    moved = np.asarray(replay.shifted(jnp.asarray(np.stack([picture] * 4)), views))
    np.testing.assert_array_equal(moved[0], picture)
    np.testing.assert_array_equal(moved[1, 4:, 4:], picture[:-4, :-4])
    np.testing.assert_array_equal(moved[1, :5, :5], np.broadcast_to(picture[0, 0], (5, 5, 3)))
    np.testing.assert_array_equal(moved[2, :-4, :-4], picture[4:, 4:])
    np.testing.assert_array_equal(moved[3, :, :-1], picture[:, 1:])
    np.testing.assert_array_equal(moved[3, :, -1], picture[:, -1])


def test_replay_keeps_pictures_and_shifts_each_by_itself() -> None:
    shape = agent.shape_of(SEEN, CONFIG)
    rings = replay.Rings(4, 2)
    transition = with_pictures(noise_transition(0))
    numbers, pictures = replay.pack(SEEN, transition)[None], replay.pack_features(SEEN, transition)
    assert pictures is not None
    memory = replay.create(rings, numbers.shape[1], shape.sight)
    yes = jnp.array([True])
    memory = replay.insert(memory, rings, jnp.asarray(numbers), yes, yes, jnp.asarray(pictures)[None])
    views = jnp.array([[[40, 0], [80, 41]]])
    batch = replay.look(
        memory, replay.unpack(memory.rows[:1], 4, 3), replay.Chosen(jnp.array([0]), views), shape.cameras
    )
    expected = replay.shifted(jnp.asarray(pictures), views[0])
    np.testing.assert_array_equal(batch.features, expected[None, 0])
    np.testing.assert_array_equal(batch.next_features, expected[None, 1])


def test_the_encoder_follows_the_critics_and_not_the_actor() -> None:
    shape, before = agent.shape_of(SEEN, CONFIG), made(CONFIG)
    rows = [with_pictures(noise_transition(n)) for n in range(8)]
    pictures = np.stack([p for t in rows if (p := replay.pack_features(SEEN, t)) is not None])
    batch = replay.unpack(jnp.asarray(np.stack([replay.pack(SEEN, t) for t in rows])), 4, 3)
    batch = batch._replace(features=jnp.asarray(pictures[:, 0]), next_features=jnp.asarray(pictures[:, 1]))
    config = dataclasses.replace(CONFIG, batch_size=8)
    noise = jnp.zeros((8, 3))
    after, _ = jax.jit(lambda a: update.critic_step(a, shape, config, batch, noise, jnp.arange(3)))(before)
    assert before.encoder is not None
    assert after.encoder is not None
    for name, array in before.encoder.items():
        assert np.abs(after.encoder[name] - array).max() > 1e-5, name
    seen, one = encoder.encoded(after.encoder, batch), jnp.float32(1.0)
    last, _ = jax.jit(lambda a: update.actor_step(a, shape, config, seen, noise, one, one))(after)
    jax.tree.map(np.testing.assert_array_equal, last.encoder, after.encoder)
    assert np.abs(last.actor["trunk.weight"] - after.actor["trunk.weight"]).max() > 1e-5


def guess(n: int, rng: np.random.Generator, act: np.ndarray | None = None) -> Transition:
    """`guessed` from a picture, on one side of which there is a bright spot, anywhere there."""
    sign = rng.choice([-1.0, 1.0])
    picture = rng.integers(0, 60, (16, 16, 3), np.uint8)
    row, column = rng.integers(1, 12), rng.integers(0, 3) + (11 if sign > 0 else 1)
    picture[row : row + 3, column : column + 3] = 255
    return guessed({"x": np.zeros(1, np.float32), "side.image": picture}, sign, act, n)


def test_the_learner_learns_to_see(tmp_path: Path) -> None:
    spec = looking(POINT, "side", height=16, width=16)
    config = dataclasses.replace(
        QUICK, force_cpu=True, batch_size=32, utd_ratio=2, demonstrations=60, bc_steps=20, capacity=500
    )
    config = dataclasses.replace(config, demo_capacity=100, learning_starts=20)
    rng = np.random.default_rng(0)
    stream = [guess(n, rng) for n in range(60)]
    stream += [guess(n, rng, rng.uniform(-1, 1, 1).astype(np.float32)) for n in range(60, 460)]
    learner = Learner(spec, config, 0)
    for transition in stream[:400]:
        learner.add(transition)
    learner.save(tmp_path)
    for transition in stream[400:]:
        learner.add(transition)
    policy = GaussianPolicy(spec, learner.weights(), learner.version)
    questions = [guess(n, rng, np.ones(1, np.float32)) for n in range(1000, 1100)]
    answers = np.array([policy(q.observation, None)[0] * (2 * q.reward - 1) for q in questions])
    assert (answers > 0).mean() > 0.95
    assert answers.mean() > 0.5, "no surer than the person"

    resumed = Learner(spec, config, 1)
    resumed.load(tmp_path)
    journal = iter(stream)
    resumed.restore_buffer(journal)
    for transition in journal:
        resumed.add(transition)
    ours = learner.weights()
    for name, array in resumed.weights().items():
        np.testing.assert_array_equal(array, ours[name], err_msg=name)


def test_rings_that_do_not_fit_are_refused_before_they_are_made() -> None:
    row = 2 * 2 * 12 * 10 * 3
    message = f"take {row * (10**12 + 100)} bytes, {row} for each.*learner.capacity and learner.demo_capacity"
    with pytest.raises(ConfigError, match=message):
        Learner(SEEN, dataclasses.replace(CONFIG, capacity=10**12, demo_capacity=100), 0)


def test_a_cpu_is_refused_with_the_time_that_it_would_take() -> None:
    assert jax.default_backend() == "cpu"
    with pytest.raises(
        ConfigError, match=r"about \S+ s for each environment step .* \S+ h for 5000 steps.*force_cpu"
    ):
        Learner(SEEN, dataclasses.replace(CONFIG, force_cpu=False), 0)
    learner = Learner(SEEN, CONFIG, 0)
    for transition in noise_stream(steps=0, demos=2):
        learner.add(with_pictures(transition))
    assert learner.received == 2


def test_what_cannot_be_seen_together_is_refused() -> None:
    with pytest.raises(SpecError, match="different sizes"):
        agent.shape_of(looking(looking(SPEC, "side"), "wrist", height=20), CONFIG)
    features = {"side.features": ArraySpec((8,), dtype="float16", encoder="0123456789abcdef")}
    both = Spec.of(dict(SEEN.observation.entries) | features)
    with pytest.raises(SpecError, match="not both"):
        agent.shape_of(dataclasses.replace(SEEN, observation=both), CONFIG)
