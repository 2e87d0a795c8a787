"""The keys of the scripted person while she labels: late, now and then wrong, and silent at other times."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from policies.scripted_person import PersonConfig, ScriptedPerson
from policies.shows import PickShow
from policies.skills import PickSkill
from robot_rl.core.errors import ConfigError
from robot_rl.core.frames import yaw_quaternion
from robot_rl.core.types import ArmState, Episode, Mode, Pose
from robot_rl.env.cartesian_action import upright

RATE = 10.0
EXACT = PersonConfig(reaction_time=0.2, key_time=(0.1, 0.1), wrong_keys=0.0)
CUBE = Pose(np.array([0.5, 0.0, 0.02]), yaw_quaternion(0.0))


class Room:
    """A cube on the table."""

    def truth(self) -> Mapping[str, Pose]:
        return {"cube": CUBE}


def arm(tick: int, high: bool) -> ArmState:
    tcp = Pose(np.array([0.5, 0.0, 0.3 if high else 0.1]), upright(0.0))
    return ArmState(
        tick * 100_000_000, np.zeros(7), np.zeros(7), tcp, np.zeros(6), np.zeros(6), 0.0, True, tcp
    )


def labels(config: PersonConfig, stages: list[int], mode: Mode = Mode.LABEL, seed: int = 0) -> list[int]:
    """Her answers while the hand is high up for a stage of 1, and low for 0."""
    skill = PickSkill()
    person = ScriptedPerson(
        config, skill, Room(), RATE, PickShow(skill), lambda view: int(view.state.tcp.position[2] > 0.2)
    )
    states = [arm(tick, bool(stage)) for tick, stage in enumerate(stages)]
    person.reset(Episode(0, seed, mode), states[0])
    return [person.read(state).label for state in states]


def test_presses_and_releases_are_equally_late() -> None:
    stages = [0] * 5 + [1] * 10 + [0] * 10
    delay = 3  # 0.2 s until she has reacted, 0.1 s until the key is down
    assert labels(EXACT, stages) == [0] * delay + stages[:-delay]


def test_wrong_keys_are_short_and_seldom() -> None:
    truth = [0] * 2000
    config = PersonConfig(wrong_keys=0.3, wrong_key_time=(0.1, 0.4))
    wrong = np.array(labels(config, truth)) != 0
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], wrong, [0]]))))[::2]
    assert runs.min() >= 1 and 2 <= runs.max() <= 8  # two presses may follow each other at once
    assert 30 <= len(runs) <= 90


@pytest.mark.parametrize("mode", [Mode.DEMO, Mode.TRAIN, Mode.EVAL])
def test_other_episodes_have_no_labels(mode: Mode) -> None:
    assert set(labels(EXACT, [0, 1, 1, 0, 1], mode)) == {-1}


def test_who_has_nothing_to_show_says_so() -> None:
    person = ScriptedPerson(EXACT, PickSkill(), Room(), RATE)
    with pytest.raises(ConfigError, match="nothing to show"):
        person.reset(Episode(0, 0, Mode.LABEL), arm(0, False))
