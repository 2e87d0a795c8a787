import itertools
import json
import math

import pytest

from robot_rl.console.history import MOST_POINTS, WINDOW, History, Series
from robot_rl.core.types import Episode, EpisodeResult, Mode


def figures(success=True, steps=10.0, human=0.0, reward=1.0, **more):
    return {"success": float(success), "steps": steps, "human_steps": human, "reward": reward} | more


def curve(history, title, name=""):
    chart = next(chart for chart in history.charts() if chart["title"] == title)
    return next(s["points"] for s in chart["series"] if s["name"] == name or not name)


def test_a_long_series_gets_coarser_and_keeps_its_ends():
    series = Series(most=8)
    for x in range(1000):
        series.add(x, 2.0 * x)
    points = series.points()
    assert len(points) <= 9
    assert points[-1] == (999, 1998.0)
    assert [x for x, _ in points] == sorted({x for x, _ in points})
    # A point is the mean of the samples since the one before it, of a slope of 2.
    for (x0, _), (x1, y1) in itertools.pairwise(points[:-1]):
        assert y1 == pytest.approx(x0 + 1 + x1)


def test_a_series_takes_the_newest_at_one_place_and_nothing_from_the_past():
    series = Series()
    for x, y in ((1, 1.0), (2, 2.0), (2, 5.0), (1, 9.0), (3, math.nan), (4, 4.0)):
        series.add(x, y)
    assert series.points() == [(1, 1.0), (2, 5.0), (4, 4.0)]


def test_practice_is_averaged_over_the_last_episodes():
    history = History()
    for i in range(2 * WINDOW):
        history.end_episode(i, Mode.TRAIN, figures(success=i >= WINDOW, human=0.0 if i % 2 else 5.0))
    success, alone, help_ = (
        curve(history, "Success", "last 20"),
        curve(history, "Success", "alone"),
        curve(history, "Steps by the person"),
    )
    assert success[WINDOW - 1] == (10.0 * WINDOW, 0.0)
    assert success[-1] == (10.0 * 2 * WINDOW, 100.0)
    assert alone[-1][1] == 50.0
    assert help_[-1][1] == 25.0
    assert history.practice_steps == 10.0 * 2 * WINDOW


def test_an_evaluation_is_one_point_and_demonstrations_are_none():
    history = History()
    history.end_episode(0, Mode.DEMO, figures())
    for i, success in enumerate((True, False, True, True)):
        history.end_episode(1 + i, Mode.EVAL, figures(success))
    history.end_episode(5, Mode.TRAIN, figures())
    history.end_episode(6, Mode.EVAL, figures(success=False))
    assert curve(history, "Success", "eval") == [(0.0, 75.0), (10.0, 0.0)]
    assert len(curve(history, "Success", "last 20")) == 1


def test_an_episode_that_is_known_already_counts_once():
    history = History()
    results = [EpisodeResult(Episode(i, i, Mode.TRAIN), 10, True, 1.0, 0, 0, 1) for i in range(3)]
    rows = [
        {
            "step": 10.0 * (i + 1),
            "wall_s": 2.0 * i,
            "critic_loss": 0.5,
            "actor_loss": None,
            "updates": 40.0 * i,
        }
        for i in range(3)
    ]
    history.restore(results, rows)
    history.end_episode(2, Mode.TRAIN, figures())
    assert history.practice_steps == 30.0
    assert curve(history, "Updates") == [(20.0, 20.0), (30.0, 20.0)]
    assert curve(history, "Losses", "critic") == [(10.0, 0.5), (20.0, 0.5), (30.0, 0.5)]
    assert curve(history, "Losses", "actor") == []

    # The next figures are timed by another clock, and say nothing about the time in between.
    history.hear_learner({"updates": 1000.0}, now=1e6)
    history.hear_learner({"updates": 1010.0}, now=1e6 + 0.1)
    history.end_episode(3, Mode.TRAIN, figures())
    history.hear_learner({"updates": 1100.0}, now=1e6 + 2.0)
    assert curve(history, "Updates")[-1] == (40.0, 50.0)


def test_a_learner_that_starts_again_gives_no_rate_below_zero():
    history = History()
    for now, updates in ((0.0, 900.0), (2.0, 0.0), (4.0, 100.0)):
        history.hear_learner({"updates": updates}, now)
    assert curve(history, "Updates") == [(0.0, 50.0)]


def test_latencies_of_the_control_loop_are_shown_where_they_are_known():
    history = History()
    history.end_episode(0, Mode.TRAIN, figures())
    history.end_episode(1, Mode.TRAIN, figures(latency_p50_ms=3.0, latency_p99_ms=9.0))
    assert curve(history, "Latency", "median") == [(20.0, 3.0)]
    assert curve(history, "Latency", "99 %") == [(20.0, 9.0)]


def test_what_a_page_gets_is_small_and_has_no_nan():
    history = History()
    for i in range(5000):
        reward = math.nan if i == 7 else -1.0 / 3.0
        history.end_episode(i, Mode.TRAIN, figures(reward=reward))
        history.hear_learner({"critic_loss": math.inf, "actor_loss": 1.0, "updates": float(i)}, float(i))
    text = json.dumps(history.charts(), allow_nan=False)
    assert len(text) < 10 * MOST_POINTS * 20
