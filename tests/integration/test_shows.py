"""What the scripted person shows for a reward classifier is what it is called, by the truth."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.core.types import Episode, Mode
from robot_rl.env.session import LABEL_SEEDS
from robot_rl.tasks import load


@pytest.mark.parametrize("name", ["franka_pick_cube", "franka_peg_insert"])
def test_successes_succeed_and_failures_do_not(name: str) -> None:
    config = load(name)
    env, arm = config.simulate()
    task, show = config.task(), config.show()
    assert show is not None
    still = np.zeros(env.spec.action.shape, np.float32)
    reached, pressed = {}, {}
    for index, kind in enumerate(show.kinds):
        env.reset(Episode(index, LABEL_SEEDS + index, Mode.LABEL))
        stages, keys, over = [], [], False
        while not over:
            step = env.step(still)
            over = step.terminated or step.truncated
            assert (step.reward, step.success) == (0.0, False)
            assert env.person is not None
            stages.append(task.stage(env.state, arm.truth()))
            keys.append(env.person.label)
        reached.setdefault(kind, []).append(sum(stages))
        pressed.setdefault(kind, []).append(sum(keys))
    env.close()
    successes = reached.pop("success")
    # Most of the time she shows it as it is, and long enough to learn from.
    assert sum(count > 15 for count in successes) >= len(successes) - 1, successes
    assert {kind: max(counts) for kind, counts in reached.items()} == dict.fromkeys(reached, 0)
    assert sum(pressed.pop("success")) > sum(map(sum, pressed.values()))
