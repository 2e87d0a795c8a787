"""The environments of the simulated arm: Gymnasium's rules, reproducibility, interventions, faults."""

import dataclasses
import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from policies.scripted import HoldStill, RandomPolicy
from robot_rl.core.config import replace
from robot_rl.core.errors import InvalidActionError, StaleStateError
from robot_rl.core.types import Episode, EpisodeResult, Mode, Source, Transition
from robot_rl.env.runner import EpisodeRunner
from robot_rl.tasks import load
from robot_rl.tasks.registration import NAMES

SHORT = {task: {"goal.time_limit": 1.0} for task in NAMES.values()}


@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_finds_nothing_to_complain_about(name):
    env = gymnasium.make(name, settings=SHORT[NAMES[name]])
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bytes_and_another_seed_others(name):
    def play(seed: int) -> list[bytes]:
        env = gymnasium.make(name, settings=SHORT[NAMES[name]])
        env.action_space.seed(seed)
        seen = []
        for episode in range(2):
            observation, _ = env.reset(seed=seed if episode == 0 else None)
            done = False
            while not done:
                seen.append(b"".join(v.tobytes() for v in observation.values()))
                observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
                done = terminated or truncated
        env.close()
        return seen

    assert play(3) == play(3)
    assert play(3) != play(4)


def test_environments_run_side_by_side_in_one_process():
    env = gymnasium.make_vec(
        "robot_rl/FrankaReach-v0",
        num_envs=2,
        vectorization_mode="sync",
        settings=SHORT["franka_reach"],
    )
    observation, _ = env.reset(seed=5)
    assert observation["goal.position"].shape == (2, 3)
    first = env.step(np.zeros((2, 4), np.float32))[0]
    assert not np.array_equal(first["goal.position"][0], first["goal.position"][1])
    env.close()


def test_bad_actions_stop_at_the_environment():
    env = gymnasium.make("robot_rl/FrankaReach-v0", disable_env_checker=True).unwrapped
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="not finite"):
        env.step(np.full(4, np.nan, np.float32))
    with pytest.raises(InvalidActionError, match="leaves"):
        env.step(np.full(4, 2.0, np.float32))
    env.close()


def run_episode(mode: Mode, seed: int, **changes) -> tuple[list[Transition], EpisodeResult]:
    config = replace(load("franka_pick_cube"), changes)
    env, arm = config.simulate()
    seen: list[Transition] = []
    runner = EpisodeRunner(env, seen.append, arm)
    policy = RandomPolicy(env.spec.action) if mode is Mode.TRAIN else HoldStill(env.spec.action)
    result = runner.run(Episode(0, seed, mode), lambda: policy)
    env.close()
    return seen, result


def test_practice_holds_the_executed_action_and_whose_it_was():
    seen, result = run_episode(Mode.TRAIN, 3)
    sources = {t.source for t in seen}
    assert sources == {Source.POLICY, Source.HUMAN}
    assert result.interventions >= 1
    assert result.human_steps == sum(t.source is Source.HUMAN for t in seen)
    for t in seen:
        same = np.array_equal(t.action, t.proposal)
        assert same == (t.source is Source.POLICY)
    assert [t.key.sequence for t in seen] == list(range(len(seen)))
    for before, after in itertools.pairwise(seen):
        for name, value in before.next_observation.items():
            np.testing.assert_array_equal(value, after.observation[name])


def test_a_time_limit_truncates_and_a_success_terminates():
    seen, result = run_episode(Mode.TRAIN, 3, **{"goal.time_limit": 1.0, "person.corrects": False})
    assert not result.success
    assert (seen[-1].terminated, seen[-1].truncated) == (False, True)
    assert len(seen) == 10
    seen, result = run_episode(Mode.DEMO, 3)
    assert result.success
    assert (seen[-1].terminated, seen[-1].truncated) == (True, False)
    assert seen[-1].reward == 1.0
    assert sum(t.reward for t in seen) == 1.0
    assert {t.source for t in seen} == {Source.DEMO}


def test_nobody_helps_in_an_evaluation_and_nothing_is_learned_from_it():
    seen, result = run_episode(Mode.EVAL, 3, **{"goal.time_limit": 2.0})
    assert seen == []
    assert result.human_steps == 0
    assert not result.success


def test_a_failed_demonstration_teaches_nothing():
    seen, result = run_episode(Mode.DEMO, 3, **{"goal.time_limit": 1.0})
    assert not result.success
    assert seen == []


def test_a_lost_marker_stops_the_episode_with_a_reason():
    config = load("franka_pick_cube")
    env, _ = config.simulate(person=False)
    env.reset(Episode(0, 1, Mode.EVAL))
    measured = env.tracker.read()["cube"]

    class FrozenTracker:
        def read(self):
            return {"cube": measured}

    env.tracker = FrozenTracker()
    with pytest.raises(StaleStateError, match=r"the pose of 'cube' is 0\.\d+ s old \(at most 0.50 s\)"):
        for _ in range(10):
            env.step(np.zeros(5, np.float32))
    env.close()


def test_a_fault_ends_the_episode_and_a_person_recovers_the_arm():
    env, arm = load("franka_pick_cube").simulate(person=False)
    seen: list[Transition] = []
    runner = EpisodeRunner(env, seen.append, arm)
    still = HoldStill(env.spec.action)

    def stop_at_third_step() -> None:
        if len(seen) == 3:
            arm.safety.e_stop("the operator pressed the button")

    result = runner.run(Episode(0, 1, Mode.TRAIN), lambda: still, on_step=stop_at_third_step)
    assert result.fault == "the operator pressed the button"
    assert not result.success
    assert len(seen) == 3
    arm.recover()
    assert runner.run(Episode(1, 2, Mode.TRAIN), lambda: still).fault == ""
    env.close()


def test_the_default_person_succeeds_and_is_slower_than_the_arm():
    config = load("franka_pick_cube")
    env, arm = config.simulate()
    still = HoldStill(env.spec.action)
    runner = EpisodeRunner(env, lambda _: None, arm)
    results = [runner.run(Episode(i, 70 + i, Mode.DEMO), lambda: still) for i in range(20)]
    assert sum(r.success for r in results) >= 19
    lengths = [r.steps for r in results if r.success]
    assert 35 < np.mean(lengths) < 60
    env.close()


def test_a_person_without_shortcomings_is_faster():
    perfect = {
        "person.linear_speed": 0.4,
        "person.angular_speed": 3.0,
        "person.hesitation": 0.0,
        "person.tremor": 0.0,
        "person.wrong_moves": 0.0,
    }
    _, slow = run_episode(Mode.DEMO, 8)
    _, fast = run_episode(Mode.DEMO, 8, **perfect)
    assert fast.success
    assert fast.steps < 0.75 * slow.steps


def test_an_inattentive_person_never_steps_in():
    _, result = run_episode(Mode.TRAIN, 3, **{"person.attention": 0.0})
    assert result.interventions == 0


def test_settings_are_plain_data():
    config = load("franka_pick_cube")
    assert dataclasses.replace(config) == config
    assert hash(config) == hash(load("franka_pick_cube"))
