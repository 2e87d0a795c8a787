"""The learner as a fold: versions, determinism, exact resume, traces, bad input, and that it learns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from policies.gaussian_policy import GaussianPolicy
from robot_rl.core.errors import CheckpointError, ConfigError, InvalidActionError, SpecError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import Source, Transition
from robot_rl.learn.learner import Learner
from robot_rl.learn.settings import LearnerConfig
from tests.unit.learner_samples import (
    POINT,
    QUICK,
    SPEC,
    TINY,
    guessed,
    noise_stream,
    noise_transition,
    point_episode,
    seeing,
    with_sight,
)


def learner_after(
    stream: list[Transition], config: LearnerConfig = TINY, seed: int = 0, spec: EnvSpec = SPEC
) -> Learner:
    learner = Learner(spec, config, seed)
    for transition in stream:
        learner.add(transition)
    return learner


def assert_same_weights(one: Learner, other: Learner) -> None:
    ours, theirs = one.weights(), other.weights()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_versions_follow_demonstrations_and_blocks() -> None:
    learner = Learner(SPEC, TINY, 0)
    versions, weights = [], []
    for transition in noise_stream(steps=20):
        learner.add(transition)
        versions.append(learner.version)
        weights.append(learner.weights()["layers.0.weight"])
    # 24 demonstration transitions, then a version for each block of 5 steps.
    assert versions == [0] * 23 + [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5 + [5]
    assert not np.array_equal(weights[22], weights[23]), "cloning did nothing"
    # Learning starts at step 10, so the block that ends at step 5 leaves the weights as they are.
    np.testing.assert_array_equal(weights[23], weights[28])
    assert not np.array_equal(weights[28], weights[33])
    assert learner.metrics()["updates"] == 3 * TINY.block * TINY.utd_ratio


def test_without_demonstrations_the_first_version_is_the_initial_one() -> None:
    config = dataclasses.replace(TINY, demonstrations=0, learning_starts=0)
    learner = Learner(SPEC, config, 0)
    assert learner.version == 1
    before = learner.weights()
    for n in range(TINY.block):
        learner.add(noise_transition(n))
    assert learner.version == 2
    assert not np.array_equal(learner.weights()["layers.0.weight"], before["layers.0.weight"])


def test_practice_before_the_demonstrations_are_complete_is_stored_and_waits() -> None:
    learner = Learner(SPEC, TINY, 0)
    for n in range(12):
        learner.add(noise_transition(n))
    assert learner.version == 0
    assert learner.metrics()["online_size"] == 10


def test_sources_fill_the_rings_that_they_belong_to() -> None:
    learner = learner_after(noise_stream(steps=28))
    metrics = learner.metrics()
    assert metrics["online_size"] == 25, "whole blocks only"
    people = sum(n % 7 == 0 for n in range(24, 24 + 25))
    assert metrics["demo_size"] == 24 + people
    assert metrics["steps"] == 28


def test_a_stream_gives_the_same_weights_again_and_another_seed_others() -> None:
    stream = noise_stream(steps=30)
    first = learner_after(stream)
    assert_same_weights(first, learner_after(stream))
    other = learner_after(stream, seed=1).weights()
    assert not np.array_equal(first.weights()["layers.0.weight"], other["layers.0.weight"])


@pytest.mark.parametrize(
    ("gripper", "spec"),
    [("continuous", SPEC), ("discrete", SPEC), ("discrete", seeing(SPEC, 3))],
    ids=["continuous", "discrete", "features and crops"],
)
def test_a_resumed_learner_goes_on_exactly(tmp_path: Path, gripper: str, spec: EnvSpec) -> None:
    config = dataclasses.replace(TINY, gripper=gripper)
    stream = [with_sight(t, spec) for t in noise_stream(steps=63)]  # the online ring wraps
    uninterrupted = learner_after(stream, config, spec=spec)
    stopped = learner_after(stream[:-15], config, spec=spec)  # in the middle of a block
    stopped.save(tmp_path)

    resumed = Learner(spec, config, seed=99)
    resumed.load(tmp_path)
    journal = iter(stream)
    resumed.restore_buffer(journal)
    assert_same_weights(resumed, stopped)
    assert (resumed.version, resumed.steps, resumed.last_key) == (
        stopped.version,
        stopped.steps,
        stopped.last_key,
    )
    for transition in journal:
        resumed.add(transition)
    assert_same_weights(resumed, uninterrupted)
    assert resumed.metrics() == uninterrupted.metrics()


def test_blocks_that_a_governor_sheds_are_stored_and_not_learned_from() -> None:
    learner = learner_after(noise_stream(steps=10))
    before = learner.weights()
    for n in range(100, 105):
        learner.add(noise_transition(n), learn=False)
    np.testing.assert_array_equal(learner.weights()["layers.0.weight"], before["layers.0.weight"])
    assert learner.metrics()["online_size"] == 15
    assert learner.version == 4


def test_each_program_is_traced_once(tmp_path: Path) -> None:
    learner = learner_after(noise_stream(steps=30))
    for n in range(200, 207):
        learner.add(noise_transition(n, Source.DEMO))
    for n in range(300, 320):
        learner.add(noise_transition(n, Source.HUMAN))
    learner.save(tmp_path)
    assert {name: program.traces for name, program in learner.programs.items()} == {
        "update": 1,
        "insert": 1,
        "pretrain": 1,
    }
    resumed = Learner(SPEC, TINY, 0)
    resumed.load(tmp_path)
    resumed.restore_buffer(
        [*noise_stream(steps=30), *(noise_transition(n, Source.DEMO) for n in range(200, 207))]
        + [noise_transition(n, Source.HUMAN) for n in range(300, 320)]
    )
    for n in range(400, 410):
        resumed.add(noise_transition(n))
    assert resumed.programs["update"].traces == 1
    assert resumed.programs["insert"].traces == 1


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Transition]]:
    """A checkpoint, and the transitions that it holds."""
    directory, stream = tmp_path_factory.mktemp("checkpoint"), noise_stream(steps=12)
    learner_after(stream).save(directory)
    return directory, stream


def copy_of(saved: tuple[Path, list[Transition]], directory: Path) -> Path:
    for file in saved[0].iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    return directory


def damage_arrays(directory: Path) -> None:
    (file,) = directory.glob("arrays-*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate_arrays(directory: Path) -> None:
    (file,) = directory.glob("arrays-*")
    file.write_bytes(file.read_bytes()[:100])


def remove_arrays(directory: Path) -> None:
    (file,) = directory.glob("arrays-*")
    file.unlink()


def truncate_index(directory: Path) -> None:
    index = directory / "checkpoint.json"
    index.write_bytes(index.read_bytes()[:100])


def edit_index(directory: Path, **changes: object) -> None:
    index = directory / "checkpoint.json"
    facts = json.loads(index.read_bytes())
    facts |= changes
    index.write_text(json.dumps({k: v for k, v in facts.items() if v is not None}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_arrays, "sha256"),
        (truncate_arrays, "sha256"),
        (remove_arrays, "cannot be read"),
        (truncate_index, "cannot be read"),
        (lambda d: (d / "checkpoint.json").unlink(), "no checkpoint"),
        (lambda d: edit_index(d, format=99), "format 99"),
        (lambda d: edit_index(d, config=None), "lacks the keys"),
    ],
)
def test_a_damaged_checkpoint_is_refused(saved, tmp_path: Path, damage, message: str) -> None:
    directory = copy_of(saved, tmp_path)
    damage(directory)
    with pytest.raises(CheckpointError, match=message):
        Learner(SPEC, TINY, 0).load(directory)


def test_a_checkpoint_of_other_settings_or_another_task_is_refused(saved) -> None:
    directory, stream = saved
    with pytest.raises(CheckpointError, match=r"learner\.discount = 0\.97, but this run has 0\.9"):
        Learner(SPEC, dataclasses.replace(TINY, discount=0.9), 0).load(directory)
    with pytest.raises(CheckpointError, match="does not fit"):
        Learner(POINT, TINY, 0).load(directory)
    with pytest.raises(CheckpointError, match="new learner"):
        learner_after(stream[:1]).load(directory)


def test_the_journal_must_be_the_checkpoints(saved) -> None:
    directory, stream = saved
    learner = Learner(SPEC, TINY, 0)
    learner.load(directory)
    with pytest.raises(CheckpointError, match="restore_buffer"):
        learner.add(stream[0])
    with pytest.raises(CheckpointError, match="journal ends after 35"):
        learner.restore_buffer(stream[:-1])
    with pytest.raises(CheckpointError, match="not the checkpoint's"):
        learner.restore_buffer([noise_transition(1000)])


def test_a_second_save_replaces_the_first(tmp_path: Path) -> None:
    learner = learner_after(noise_stream(steps=10))
    learner.save(tmp_path)
    for n in range(100, 105):
        learner.add(noise_transition(n))
    learner.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_transitions_that_would_poison_the_networks_are_refused() -> None:
    learner = Learner(SPEC, TINY, 0)
    good = noise_transition(0)
    with pytest.raises(InvalidActionError, match="not 3 finite numbers"):
        learner.add(dataclasses.replace(good, action=np.array([0.0, np.nan, 0.0], np.float32)))
    with pytest.raises(InvalidActionError, match="not 3 finite numbers"):
        learner.add(dataclasses.replace(good, action=np.zeros(2, np.float32)))
    with pytest.raises(InvalidActionError, match="not finite"):
        learner.add(dataclasses.replace(good, reward=float("inf")))
    assert learner.received == 0


def test_features_that_overflowed_are_refused() -> None:
    spec = seeing(SPEC)
    learner = Learner(spec, TINY, 0)
    good = with_sight(noise_transition(0), spec)
    features = np.full(4, np.inf, np.float16)
    with pytest.raises(InvalidActionError, match="not finite"):
        learner.add(
            dataclasses.replace(good, next_observation={**good.next_observation, "side.features": features})
        )
    assert learner.received == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": ()}, "hidden"),
        ({"critics": 2, "critic_subset": 3}, "critic_subset 3 exceeds the 2 critics"),
        ({"demo_fraction": 1.5}, "demo_fraction"),
        ({"block": 0}, "block"),
        ({"capacity": 3, "block": 5}, "capacity"),
        ({"return_bounds": (1.0, 0.0)}, "return_bounds"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"initial_std": 1.0, "max_std": 0.5}, "initial_std 1.0 exceeds max_std 0.5"),
    ],
)
def test_senseless_settings_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TINY, **changes)


def test_tasks_that_cannot_be_learned_are_refused() -> None:
    with pytest.raises(SpecError, match="gripper"):
        Learner(POINT, dataclasses.replace(TINY, gripper="discrete"), 0)
    pixels = Spec.of({"image": ArraySpec((4, 4, 3), dtype="uint8")})
    with pytest.raises(SpecError, match="no float32 vector"):
        Learner(EnvSpec(pixels, SPEC.action, 10.0), TINY, 0)


def slow_person(rng: np.random.Generator) -> Iterator[np.ndarray]:
    while True:
        yield np.clip(rng.normal(0.35, 0.2, 1), -1, 1)


def play(learner: Learner, start: float, first: int, rng: np.random.Generator | None) -> list[Transition]:
    """One episode of the learner's newest policy towards 0.8 m."""
    policy = GaussianPolicy(POINT, learner.weights(), learner.version)
    episode: list[Transition] = []

    def actions() -> Iterator[np.ndarray]:
        observation = {"x": np.array([start], np.float32)}
        while True:
            yield policy(observation, rng)
            observation = dict(episode[-1].next_observation)

    for transition in point_episode(start, 0.8, actions(), first, Source.POLICY):
        episode.append(transition)  # `actions` reads it meanwhile
    return episode


def test_the_learner_outgrows_a_slow_person() -> None:
    learner, rng, count, lengths = Learner(POINT, QUICK, 0), np.random.default_rng(0), 0, []
    for _ in range(QUICK.demonstrations):
        start = rng.uniform(-0.9, -0.3)
        demo = list(point_episode(start, 0.8, slow_person(rng), count, Source.DEMO, steps=60))
        for transition in demo:
            learner.add(transition)
        lengths.append(len(demo))
        count += len(demo)
    while learner.steps < 1500:
        for transition in play(learner, rng.uniform(-0.9, -0.3), count, rng):
            learner.add(transition)
            count += 1
    episodes = [play(learner, start, 0, None) for start in (-0.9, -0.6, -0.3)]
    assert all(episode[-1].terminated for episode in episodes)
    assert np.mean([len(e) for e in episodes]) < 0.6 * np.mean(lengths)


def guess(n: int, rng: np.random.Generator, act: np.ndarray | None = None) -> Transition:
    """`guessed` from a number that only the features of one camera show."""
    spec, sign = GUESS, rng.choice([-1.0, 1.0])
    blank = with_sight(noise_transition(n), spec)
    observation = {name: blank.observation[name] for name in spec.observation}
    observation["x"] = np.zeros(1, np.float32)
    shown = 0.1 * rng.standard_normal(4)
    shown[0] += sign
    observation["side.features"] = shown.astype(np.float16)
    return guessed(observation, sign, act, n)


GUESS = seeing(POINT)


def test_the_learner_uses_what_only_the_features_show() -> None:
    rng, config = np.random.default_rng(0), dataclasses.replace(QUICK, demonstrations=40, bc_steps=100)
    learner = Learner(GUESS, config, 0)
    for n in range(40):
        learner.add(guess(n, rng))
    for n in range(40, 440):
        learner.add(guess(n, rng, act=rng.uniform(-1, 1, 1).astype(np.float32)))
    policy = GaussianPolicy(GUESS, learner.weights(), learner.version)
    questions = [guess(n, rng, act=np.ones(1, np.float32)) for n in range(1000, 1100)]
    answers = [policy(q.observation, None)[0] * (2 * q.reward - 1) for q in questions]
    assert np.mean(answers) > 0.6, "no surer than the person"
    assert np.mean(np.array(answers) > 0) > 0.98
