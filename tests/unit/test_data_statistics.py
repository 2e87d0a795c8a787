"""The figures of a data set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.core.spec import ArraySpec
from robot_rl.core.types import Mode
from robot_rl.data.dataset import Dataset
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections
from robot_rl.data.statistics import RunningStatistics, gripper_switches, measure
from tests.unit.data_samples import small_spec, transition
from tests.unit.dataset_samples import Plan, record_run


def test_batches_give_what_all_at_once_gives() -> None:
    """Also around a large mean, where sums of squares would have no digits left."""
    values = np.random.default_rng(0).normal(1e8, 1.0, (1000, 3))
    running = RunningStatistics()
    for start, stop in ((0, 1), (1, 400), (400, 401), (401, 1000)):
        running.add(values[start:stop])
    found = running.result(1000)
    np.testing.assert_array_equal(found.minimum, values.min(axis=0))
    np.testing.assert_array_equal(found.maximum, values.max(axis=0))
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.deviation, values.std(axis=0), rtol=1e-7)


def test_what_is_in_a_run(tmp_path: Path) -> None:
    plans = [Plan(), Plan(success=False, steps=9), Plan(Mode.TRAIN, steps=4), Plan(Mode.LABEL)]
    written = record_run(tmp_path, [*plans, Plan(Mode.TRAIN, finished=False)])
    save_corrections(tmp_path / "episodes" / CORRECTIONS, [Correction(3, 0, 2, 0), Correction(3, 2, 3, 1)])
    found = measure(Dataset.open(tmp_path))
    assert found.episodes == 5
    assert found.transitions == 16
    assert found.sources == {"POLICY": 10, "DEMO": 6}
    assert found.human_share == pytest.approx(6 / 16)
    demo = found.modes["demo"]
    assert (demo.episodes, demo.successes, demo.success_rate) == (2, 1, 0.5)
    assert (demo.length.minimum, demo.length.median, demo.length.maximum) == (6, 7.5, 9)
    train = found.modes["train"]
    assert (train.episodes, train.unfinished, train.success_rate) == (2, 1, 1.0)
    assert "eval" not in found.modes
    assert found.key_labels == {0: 3, 1: 3}
    assert found.corrected_frames == 4
    height = np.array([t.observation["tcp.position"] for t in written], np.float64)
    array = found.arrays["tcp.position"]
    assert array.count == 16
    np.testing.assert_allclose(array.mean, height.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(array.deviation, height.std(axis=0), rtol=1e-9)
    features = np.stack([t.observation["wrist.features"] for t in written]).astype(np.float64)
    np.testing.assert_allclose(found.arrays["wrist.features"].mean, [features.mean()], rtol=1e-12)
    assert len(found.arrays["action"].minimum) == 5


def test_cameras_are_counted_and_missed(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan()])
    record_run(tmp_path / "b", [Plan(), Plan(steps=3)], cameras=["wrist"])
    found = measure(Dataset.open(tmp_path / "a", tmp_path / "b")).cameras
    assert {name: (camera.frames, camera.rate) for name, camera in found.items()} == {
        "wrist": (18, 10.0),
        "side": (7, 10.0),
    }
    assert found["side"].without == (0, 1)
    assert found["wrist"].without == ()


def test_the_gripper_switches_when_the_opposite_is_commanded() -> None:
    spec = small_spec()
    commands = [0.9, 0.2, -0.7, 0.0, -1.0, 0.6, -0.4]
    rows = [
        replace(transition(spec, i), action=np.array([0, 0, 0, 0, value], np.float32))
        for i, value in enumerate(commands)
    ]
    assert gripper_switches(spec.action, rows) == 2
    assert gripper_switches(spec.action, []) == 0
    assert gripper_switches(ArraySpec((5,), names=("x", "y", "z", "yaw", "pitch")), rows) == 0


def test_figures_have_a_json_form(tmp_path: Path) -> None:
    record_run(tmp_path)
    found = measure(Dataset.open(tmp_path))
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["modes"]["demo"]["success_rate"] == 0.5
    assert data["cameras"]["side"]["frames"] == 28
    assert data["arrays"]["reward"]["maximum"] == [1.0]
