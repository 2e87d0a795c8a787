"""A person at a device corrects a policy on the simulated arm: nothing jumps, and what she does is logged."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.teleop.person import DevicePerson
from drivers.teleop.settings import TeleopConfig
from policies.scripted import RandomPolicy
from robot_rl.core.config import replace
from robot_rl.core.frames import conjugate, multiply, rotation_vector
from robot_rl.core.types import ArmState, Episode, Mode, Pose, Source, TeleopCommand, Transition
from robot_rl.data.episode_log import read
from robot_rl.data.json_messages import ControlChange, decode
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.env.relative_frame import tool_axes
from robot_rl.env.runner import EpisodeRunner
from robot_rl.tasks import load
from tests.unit.teleop_samples import Hand, Time

Plan = dict[int, tuple[tuple[float, ...], tuple[str, ...]]]
"""Tick to the axes and buttons from there on."""
TASK = replace(load("franka_pick_cube"), {"goal.time_limit": 6.0})


class Operator:
    """A person at one device who does at each tick what a plan says."""

    def __init__(self, plan: Plan, config: TeleopConfig) -> None:
        self.time = Time()
        self.hand = Hand(self.time)
        self.plan = plan
        self.person = DevicePerson({"spacemouse": self.hand}, config, clock=self.time)
        self.targets: list[Pose] = []
        self.wanted: list[TeleopCommand] = []
        self.tick = 0

    def reset(self, episode: Episode, state: ArmState) -> None:
        self.person.reset(episode, state)
        self.tick = 0

    def read(self, state: ArmState) -> TeleopCommand:
        self.time.pass_by(0.1)
        if self.tick in self.plan:
            axes, buttons = self.plan[self.tick]
            self.hand.push(*axes)
            self.hand.hold(*buttons)
        self.tick += 1
        self.targets.append(state.target)
        self.wanted.append(self.person.read(state))
        return self.wanted[-1]


PLAN: Plan = {
    5: ((1.0, -1.0, -0.4, 0.0, 0.0, 1.0), ()),
    12: ((-1.0, 1.0, 0.3, 0.0, 0.0, -1.0), ("close",)),
    20: ((), ()),
    35: ((0.0, 0.0, 0.0, 0.0, 0.0, -0.5), ("take_over",)),
    40: ((), ("hand_back",)),
    41: ((0.4, 0.4), ()),
    46: ((), ()),
}


@pytest.mark.parametrize("frame", ["base", "tool", "view"])
def test_no_jump_when_control_changes_hands_and_the_executed_action_is_recorded(
    frame: Any, tmp_path: Path
) -> None:
    # Faster than the policy's limits: what she asks for has to saturate.
    config = TeleopConfig(linear_speed=0.6, angular_speed=4.0, frame=frame, view_yaw=0.8)
    operator = Operator(PLAN, config)
    env, arm = TASK.simulate(person=False)
    env.teleop = operator
    transitions: list[Transition] = []
    with EpisodeRecorder(tmp_path, env.spec) as recorder:
        runner = EpisodeRunner(env, transitions.append, arm, recorder)
        policy = RandomPolicy(env.spec.action)
        result = runner.run(Episode(0, 3, Mode.TRAIN), lambda: policy)
    operator.targets.append(env.state.target)
    action = env.mapping.config

    assert result.interventions == 3
    for before, after in itertools.pairwise(operator.targets):
        # In the axes of the tool, one action at most on each.
        step = np.abs(after.position - before.position)
        turn = rotation_vector(multiply(after.quaternion, conjugate(before.quaternion)))
        assert np.linalg.norm(step) <= np.sqrt(3.0) * action.linear_scale + 1e-9
        assert np.linalg.norm(turn) <= action.angular_scale + 1e-9

    hers = [t for t in transitions if t.source is Source.HUMAN]
    assert len(hers) == result.human_steps > 20
    for transition, wanted in zip(transitions, operator.wanted, strict=True):
        assert (transition.source is Source.HUMAN) == wanted.active
        if not wanted.active:
            np.testing.assert_array_equal(transition.action, transition.proposal)
    assert any(np.abs(t.action[:4]).max() == 1.0 for t in hers)
    assert all(np.abs(t.action).max() <= 1.0 for t in hers)
    assert all((t.action != t.proposal).any() and t.proposal.any() for t in hers)
    # The gripper: as it was until she closes it, then closed.
    assert [t.action[-1] for t in transitions[12:20]] == [-1.0] * 8

    logged = read(tmp_path / "000000.mcap", {"intervention/control"})
    changes = [decode(ControlChange, m.message.data) for m in logged]
    assert [c.who for c in changes] == ["spacemouse", "policy"] * 3
    env.close()


def test_the_executed_action_moves_the_arm_as_her_hand_does() -> None:
    config = TeleopConfig(linear_speed=0.2, exponent=1.0, dead_zone=0.0)
    operator = Operator({2: ((0.5, 0.25), ())}, config)
    env, _ = TASK.simulate(person=False)
    env.teleop = operator
    env.reset(Episode(0, 1, Mode.TRAIN))
    hold = np.array([0, 0, 0, 0, 1], np.float32)
    for _ in range(2):
        env.step(hold)
    before = env.state
    step = env.step(hold)
    # 0.2 m/s for 0.1 s, by the deflection, in the base's axes; and the same as a share of the 0.04 m that a
    # full action moves, in the tool's.
    way = np.array([0.01, 0.005, 0.0])
    np.testing.assert_allclose(env.state.target.position - before.target.position, way, atol=1e-6)
    np.testing.assert_allclose(step.action[:3], tool_axes(before).T @ way / 0.04, atol=1e-6)
    assert step.source is Source.HUMAN
    env.close()


def test_a_device_that_is_lost_in_mid_motion_holds_the_arm() -> None:
    operator = Operator({2: ((0.0, 1.0), ())}, TeleopConfig())
    env, _ = TASK.simulate(person=False)
    env.teleop = operator
    env.reset(Episode(0, 1, Mode.TRAIN))
    push = np.array([1, 1, 1, 0, 1], np.float32)
    for tick in range(12):
        operator.hand.plugged = tick < 6
        before = env.state.target
        step = env.step(push)
        if tick >= 6:
            assert step.source is Source.SCRIPT  # nobody corrects the policy by that
            np.testing.assert_allclose(env.state.target.position, before.position, atol=1e-9)
    env.close()
