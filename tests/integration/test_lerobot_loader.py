"""LeRobot's own loader opens our exports, and we import what LeRobot's own recorder wrote.

Opt-in: ROBOT_RL_LEROBOT_PYTHON names a Python that has lerobot==0.4.4, which needs other versions of torch
and av than we do. Run it with `pytest -m lerobot tests/integration/test_lerobot_loader.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.dataset import Dataset
from robot_rl.data.lerobot_export import export_lerobot
from robot_rl.data.lerobot_import import import_lerobot
from tests.unit.data_samples import ACTION, feature_spec
from tests.unit.export_samples import psnr, record_run

PYTHON = os.environ.get("ROBOT_RL_LEROBOT_PYTHON", "")
CAMERAS = {"wrist": (64, 96), "side": (49, 65)}

pytestmark = [
    pytest.mark.lerobot,
    pytest.mark.skipif(not PYTHON, reason="ROBOT_RL_LEROBOT_PYTHON names no Python with lerobot"),
]

READ = """
import sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, out = sys.argv[1:]
dataset = LeRobotDataset("local/robot_rl", root=root)
items = [dataset[i] for i in range(len(dataset))]
arrays = {}
for key in items[0]:
    values = [item[key] for item in items]
    if isinstance(values[0], str):
        arrays[key] = np.array(values)
    else:
        arrays[key] = np.stack([value.numpy() for value in values])
exact = dataset.hf_dataset.with_format("numpy")
for key in ("robot_rl.reward", "robot_rl.penalty", "robot_rl.stamp"):
    arrays["exact." + key] = np.array(exact[key])
for key, stats in dataset.meta.stats.items():
    arrays["mean." + key] = stats["mean"]
shifted = LeRobotDataset("local/robot_rl", root=root, delta_timestamps={"action": [0.0, 0.1]}, episodes=[1])
arrays["chunk"] = np.stack([shifted[i]["action"].numpy() for i in range(len(shifted))])
np.savez(out, **arrays)
"""

WRITE = """
import sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, source = sys.argv[1:]
data = np.load(source)
features = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
    "observation.images.front": {
        "dtype": "video", "shape": (64, 96, 3), "names": ["height", "width", "channels"]
    },
    "action": {"dtype": "float32", "shape": (5,), "names": ["x", "y", "z", "yaw", "gripper"]},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
}
dataset = LeRobotDataset.create("local/theirs", 10, features, root=root)
for episode in range(2):
    for i in range(5):
        row = 5 * episode + i
        dataset.add_frame({
            "observation.state": data["state"][row],
            "observation.images.front": data["front"][row],
            "action": data["action"][row],
            "next.reward": np.array([float(i == 4 and episode == 0)], np.float32),
            "task": "push",
        })
    dataset.save_episode()
dataset.finalize()
"""

DELETE = """
import sys
from lerobot.datasets.dataset_tools import delete_episodes
from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, out = sys.argv[1:]
delete_episodes(LeRobotDataset("local/robot_rl", root=root), [0], output_dir=out, repo_id="local/rest")
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return record_run(tmp_path_factory.mktemp("run"), feature_spec(), cameras=CAMERAS)


@pytest.mark.parametrize("how", get_args(fmt.Images))
def test_their_loader_reads_our_export(dataset: Dataset, tmp_path: Path, how: fmt.Images) -> None:
    export_lerobot(dataset, tmp_path / "out", how)
    theirs(READ, tmp_path, tmp_path / "out", tmp_path / "read.npz")
    with np.load(tmp_path / "read.npz") as file:
        read = {key: file[key] for key in file.files}
    rows = list(dataset.all_transitions())
    state = np.stack([dataset.spec.observation.vector(row.observation) for row in rows])
    assert read["observation.state"].tobytes() == state.tobytes()
    assert read["action"].tobytes() == np.stack([row.action for row in rows]).tobytes()
    assert read["robot_rl.proposal"].tobytes() == np.stack([row.proposal for row in rows]).tobytes()
    assert read["exact.robot_rl.reward"].tolist() == [row.reward for row in rows]
    assert read["exact.robot_rl.stamp"].tolist() == [row.stamp for row in rows]
    assert read["robot_rl.sequence"].tolist() == [row.key.sequence for row in rows]
    assert read["robot_rl.actor"].tolist() == [row.key.actor for row in rows]
    assert read["robot_rl.terminated"].tolist() == [row.terminated for row in rows]
    assert read["next.done"].tolist() == [False, False, True, False, False, False, True, True]
    assert set(read["task"].tolist()) == {dataset.spec.name}
    np.testing.assert_allclose(read["mean.action"], np.mean([row.action for row in rows], axis=0), rtol=1e-5)
    second = [row.action for row in dataset.transitions(dataset.episodes[1])]
    assert read["chunk"].tobytes() == np.stack([second, [*second[1:], second[-1]]], axis=1).tobytes()
    for camera, size in CAMERAS.items() if how != "none" else ():
        shown = read[f"observation.images.{camera}"]
        assert shown.shape == (len(rows), 3, *size)
        found = np.round(255 * shown).astype(np.uint8).transpose(0, 2, 3, 1)
        tracks = [dataset.pictures(info)[camera].images[:-1] for info in dataset.episodes]
        written = [image for track in tracks for image in track]
        for a, b in zip(written, found, strict=True):
            assert np.array_equal(a, b) if how != "video" else psnr(a, b) > 24
        assert read[f"mean.observation.images.{camera}"].shape == (3, 1, 1)


def test_what_their_tools_leave_of_an_export_is_imported_exactly(dataset: Dataset, tmp_path: Path) -> None:
    export_lerobot(dataset, tmp_path / "out", "png")
    theirs(DELETE, tmp_path, tmp_path / "out", tmp_path / "rest")
    shutil.copytree(tmp_path / "out/meta/robot_rl", tmp_path / "rest/meta/robot_rl")
    found = import_lerobot(tmp_path / "rest", tmp_path / "again")
    left = dataset.episodes[1:]
    assert [found.episode_digest(info) for info in found.episodes] == list(map(dataset.episode_digest, left))
    for before, after in zip(left, found.episodes, strict=True):
        written, track = dataset.pictures(before)["side"], found.pictures(after)["side"]
        assert all(np.array_equal(a, b) for a, b in zip(written.images, track.images, strict=True))


def test_we_read_what_their_recorder_wrote(dataset: Dataset, tmp_path: Path) -> None:
    """With video in AV1, which is what they encode with."""
    rng = np.random.default_rng(5)
    state, action = rng.normal(size=(10, 3)), rng.uniform(-1, 1, (10, 5))
    state, action = state.astype(np.float32), action.astype(np.float32)
    info = dataset.episodes[1]
    front = np.stack([dataset.pictures(info)["wrist"].images[i % 4] for i in range(10)])
    np.savez(tmp_path / "source.npz", state=state, action=action, front=front)
    theirs(WRITE, tmp_path, tmp_path / "theirs", tmp_path / "source.npz")
    spec = EnvSpec(Spec.of({"tcp.position": ArraySpec((3,), "m", "base")}), ACTION, 10.0, "push")
    mapping = {"tcp.position": "observation.state"}
    found = import_lerobot(tmp_path / "theirs", tmp_path / "out", spec, mapping)
    assert [e.result.success for e in found.episodes] == [True, False]
    first, second = (found.transitions(info) for info in found.episodes)
    assert (len(first), len(second)) == (5, 4)
    for row, transition in zip([0, 1, 2, 3, 4, 5, 6, 7, 8], first + second, strict=True):
        assert transition.observation["tcp.position"].tobytes() == state[row].tobytes()
        assert transition.action.tobytes() == action[row].tobytes()
    assert [t.reward for t in first] == [0.0, 0.0, 0.0, 0.0, 1.0]
    seen = [image for info in found.episodes for image in found.pictures(info)["front"].images]
    assert min(psnr(a, b) for a, b in zip(front, seen, strict=True)) > 20


def theirs(script: str, folder: Path, *arguments: Path) -> None:
    """Run a script with the Python that has LeRobot, off the net."""
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | own
    command = [PYTHON, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
