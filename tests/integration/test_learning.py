"""Trainings to the end. The short one is part of every run; the long ones are `make test-learning`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.cli.evaluate import EvalOptions
from robot_rl.cli.evaluate import run as evaluate
from robot_rl.cli.train import run as train
from robot_rl.core.config import replace
from robot_rl.tasks import load


def test_reach_is_learned_from_two_demonstrations(tmp_path):
    changes = {
        "learner.demonstrations": 2,
        "session.max_steps": 1000,
        "session.evaluation_episodes": 0,
        "session.final_episodes": 20,
    }
    config = replace(load("franka_reach"), changes)
    summary = train("franka_reach", config, 0, tmp_path / "run", log_episodes=False, quiet=True)
    assert summary["success_rate"] >= 0.95
    assert summary["success_length"] < summary["demonstration_length"]


@pytest.mark.learning
@pytest.mark.parametrize("seed", range(3))
def test_pick_cube_is_learned_and_carries_over_to_the_other_simulator(seed, tmp_path):
    summary = train("franka_pick_cube", load("franka_pick_cube"), seed, tmp_path / "run", quiet=True)
    assert summary["success_rate"] >= 0.95
    assert summary["length_ratio"] <= 0.62
    report = evaluate(EvalOptions(policy=tmp_path / "run" / "policy", backend="pybullet"))
    assert report["success_rate"] >= 0.9


@pytest.mark.learning
@pytest.mark.ros
def test_the_demo_succeeds_through_the_graph(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "robot_rl", "demo", "--headless", "--out", str(out)]
    home = Path(__file__).parents[2]
    subprocess.run(command, check=True, cwd=home, env=dict(os.environ))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["success_rate"] >= 0.95
    assert Path(summary["video"]).stat().st_size > 10_000
