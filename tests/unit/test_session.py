import math
from dataclasses import replace

import pytest

from robot_rl.core.errors import ConfigError, RobotRlError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.env.schedule import due_version, settled_version
from robot_rl.env.session import Session, SessionConfig
from robot_rl.env.summary import summarise


def result(episode: Episode, success: bool = True, steps: int = 20, **changes) -> EpisodeResult:
    values = {"interventions": 0, "human_steps": 0, "policy_version": 1, "reward": 1.0} | changes
    return EpisodeResult(episode=episode, steps=steps, success=success, **values)


def play(session: Session, success) -> list[tuple[str, Mode]]:
    """Run a session with made-up results; `success(phase, count)` decides."""
    course = []
    while (episode := session.next_episode()) is not None:
        phase = session.phase
        course.append((phase, episode.mode))
        session.add(result(episode, success(phase, len(course))))
    return course


CONFIG = SessionConfig(
    max_steps=400,
    evaluate_every=100,
    promising=0.0,
    evaluation_episodes=4,
    good_enough=0.75,
    good_length=1.0,
    final_episodes=3,
)


def test_course_of_a_training_that_stops_early():
    session = Session(CONFIG, seed=1, demonstrations=2)
    course = play(session, lambda phase, count: True)
    phases = [phase for phase, _ in course]
    expected = ["demonstrations"] * 2
    expected += (["practice"] * 5 + ["evaluation"] * 4) * 2 + ["final evaluation"] * 3
    assert phases == expected
    assert [e.steps for e in session.record.evaluations] == [100, 200]
    assert session.record.final is not None
    assert session.record.final.success_rate == 1.0
    assert session.phase == "done"


def test_practice_goes_on_until_the_policy_is_faster_than_the_demonstrations():
    session = Session(replace(CONFIG, good_length=0.6), seed=1, demonstrations=1)
    while (episode := session.next_episode()) is not None:
        steps = 20 if session.phase != "evaluation" or session.practice_steps < 300 else 12
        session.add(result(episode, steps=steps))
    assert [e.steps for e in session.record.evaluations] == [100, 200, 300, 400]


def test_two_good_evaluations_must_follow_each_other():
    session = Session(CONFIG, seed=1, demonstrations=0)
    play(session, lambda phase, count: phase != "evaluation" or len(session.record.evaluations) != 1)
    rates = [e.success_rate for e in session.record.evaluations]
    assert rates == [1.0, 0.0, 1.0, 1.0]


def test_practice_ends_at_its_limit_with_an_evaluation():
    session = Session(CONFIG, seed=1, demonstrations=0)
    play(session, lambda phase, count: False)
    assert session.record.steps == 400
    assert [e.steps for e in session.record.evaluations] == [100, 200, 300, 400]
    assert math.isnan(session.record.evaluations[0].mean_steps)


def test_an_evaluation_waits_until_practice_looks_promising():
    config = replace(CONFIG, max_steps=1200, promising=0.6)
    session = Session(config, seed=1, demonstrations=0)
    # Episodes of 20 steps: the first 30 fail, so 12 of the last 20 have succeeded after 42 of them.
    play(session, lambda phase, count: phase != "practice" or session.practice_steps >= 600)
    assert [e.steps for e in session.record.evaluations] == [840, 940]


def test_failed_demonstrations_are_repeated_up_to_a_limit():
    session = Session(CONFIG, seed=1, demonstrations=2)
    course = play(session, lambda phase, count: count % 2 == 0)
    assert [phase for phase, _ in course][:5] == ["demonstrations"] * 4 + ["practice"]
    session = Session(CONFIG, seed=1, demonstrations=2)
    with pytest.raises(RobotRlError, match="only 0 of 8 demonstrations succeeded"):
        play(session, lambda phase, count: False)


def test_every_episode_has_a_seed_of_its_own_and_evaluations_are_apart():
    session = Session(CONFIG, seed=3, demonstrations=2)
    seeds: dict[Mode, set[int]] = {mode: set() for mode in Mode}
    count = 0
    while (episode := session.next_episode()) is not None:
        assert episode.index == count
        count += 1
        seeds[episode.mode].add(episode.seed)
        session.add(result(episode, episode.mode is Mode.DEMO))
    assert sum(len(s) for s in seeds.values()) == count
    assert not (seeds[Mode.EVAL] & (seeds[Mode.TRAIN] | seeds[Mode.DEMO]))
    other = Session(CONFIG, seed=4, demonstrations=2).next_episode()
    assert other is not None
    assert other.seed not in set().union(*seeds.values())


def test_cloning_alone_is_a_session_without_practice():
    session = Session(SessionConfig(max_steps=0, final_episodes=2), seed=0, demonstrations=1)
    assert [phase for phase, _ in play(session, lambda *_: True)] == [
        "demonstrations",
        "final evaluation",
        "final evaluation",
    ]


def test_summary_has_the_agreed_fields():
    session = Session(CONFIG, seed=1, demonstrations=2)
    play(session, lambda *_: True)
    summary = summarise("toy", session, updates=7, wall_s=3.0, train_s=2.0)
    wanted = {"task", "seed", "env_steps", "updates", "wall_s", "train_s", "success_rate", "episodes"}
    assert wanted | {"interventions"} <= summary.keys()
    assert summary["success_rate"] == 1.0
    assert summary["length_ratio"] == 1.0
    assert summary["env_steps"] == 200


def test_schedule_lags_one_block_and_settles_on_all():
    assert [due_version(n, 10) for n in (0, 9, 10, 19, 20, 29, 30)] == [1, 1, 1, 1, 2, 2, 3]
    assert [settled_version(n, 10) for n in (0, 9, 10, 20)] == [1, 1, 2, 3]


def test_requests_do_not_change_the_course():
    """A demonstration in mid-practice, and labels in mid-evaluation, come between; the rest stays."""
    plain = [phase for phase, _ in play(Session(CONFIG, seed=1, demonstrations=1), lambda *_: True)]
    session = Session(CONFIG, seed=1, demonstrations=1)
    course = []
    while (episode := session.next_episode()) is not None:
        course.append(session.phase)
        session.add(result(episode))
        if len(course) == 3:
            session.request(Mode.DEMO)
        if session.phase == "evaluation" and session.evaluated == 2 and not session.record.labels:
            session.request(Mode.LABEL)
    assert course[3] == "demonstrations"
    where = course.index("labels")
    assert course[where - 1] == course[where + 1] == "evaluation"
    del course[where], course[3]
    assert course == plain
    assert len(session.record.demonstrations) == 2
    assert [e.steps for e in session.record.evaluations] == [100, 200]


def test_only_the_last_thing_that_was_shown_can_be_taken_back():
    session = Session(CONFIG, seed=1, demonstrations=1)
    episode = session.next_episode()
    assert episode is not None
    shown = result(episode)
    session.add(shown)
    session.take_back(shown)
    again = session.next_episode()
    assert again is not None
    assert (again.mode, again.index) == (Mode.DEMO, 1)
    assert again.seed != episode.seed
    session.add(result(again))
    with pytest.raises(RobotRlError, match="episode 0 cannot be taken back"):
        session.take_back(shown)


def test_an_operator_may_fail_as_often_as_she_likes():
    session = Session(CONFIG, seed=1, demonstrations=1, attempts=None)
    for _ in range(20):
        episode = session.next_episode()
        assert episode is not None
        session.add(result(episode, success=False))
    assert session.phase == "demonstrations"


def test_nobody_can_ask_for_an_evaluation():
    with pytest.raises(ConfigError, match="only for a demonstration or for labels"):
        Session(CONFIG, seed=1, demonstrations=1).request(Mode.EVAL)
