"""Other people's data sets in the LeRobot format, as demonstrations of a task."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.core.errors import DatasetError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import Mode, Source
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.dataset import Dataset
from robot_rl.data.lerobot_export import export_lerobot
from robot_rl.data.lerobot_import import import_lerobot
from tests.unit.data_samples import small_spec
from tests.unit.export_samples import EPISODES, record_run

SPEC = small_spec()
PERIOD = 100_000_000
FRAMES = "data/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return record_run(tmp_path_factory.mktemp("source"), SPEC, cameras={"front": (32, 48)})


@pytest.fixture(scope="module")
def theirs(source: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that knows nothing of robot_rl."""
    folder = tmp_path_factory.mktemp("theirs") / "theirs"
    export_lerobot(source, folder, "lossless")
    shutil.rmtree(folder / "meta/robot_rl")
    return without(folder, folder, [name for name in features(folder) if name.startswith(fmt.OURS)])


def test_frames_become_demonstrations(source: Dataset, theirs: Path, tmp_path: Path) -> None:
    found = import_lerobot(theirs, tmp_path / "out", SPEC)
    assert found.spec == SPEC
    assert [info.result.success for info in found.episodes] == [success for _, success, _ in EPISODES]
    for before, after in zip(source.episodes, found.episodes, strict=True):
        assert after.episode.mode is Mode.DEMO
        success = before.result.success
        ours, rows = source.transitions(before), found.transitions(after)
        # The last frame of a failure only says where the one before it led to.
        assert len(rows) == len(ours) - (not success) == after.result.steps
        for a, b in zip(ours, rows, strict=False):
            assert (
                SPEC.observation.vector(a.observation).tobytes()
                == SPEC.observation.vector(b.observation).tobytes()
            )
            assert a.action.tobytes() == b.action.tobytes() == b.proposal.tobytes()
            assert (b.reward, b.source) == (float(np.float32(a.reward)), Source.DEMO)
        for a, b in pairwise(rows):
            assert a.next_observation["target"].tobytes() == b.observation["target"].tobytes()
            assert b.stamp - a.stamp == PERIOD
        assert [t.terminated for t in rows] == [False] * (len(rows) - 1) + [success]
        assert [t.truncated for t in rows] == [False] * (len(rows) - 1) + [not success]
    keys = [t.key for t in found.all_transitions()]
    assert len(set(keys)) == len(keys)


def test_their_pictures_are_logged_at_their_ticks(source: Dataset, theirs: Path, tmp_path: Path) -> None:
    found = import_lerobot(theirs, tmp_path / "out", SPEC)
    for before, after in zip(source.episodes, found.episodes, strict=True):
        written, track = source.pictures(before)["front"], found.pictures(after)["front"]
        assert all(np.array_equal(a, b) for a, b in zip(written.images, track.images, strict=False))
        assert len(track.images) == len(written.images) - 1
        stamps = track.stamps.tolist()
        assert np.diff(stamps).tolist() == [PERIOD] * (len(stamps) - 1)
        assert found.transitions(after)[0].stamp == stamps[0] + PERIOD


def test_names_may_stand_in_another_order(theirs: Path, tmp_path: Path) -> None:
    """An action whose elements are the other way round, and arrays as features of their own."""
    table = pq.read_table(theirs / FRAMES)
    actions = np.stack(table["action"].to_pylist()).astype(np.float32)
    state = np.stack(table["observation.state"].to_pylist())
    position = pa.array(state[:, :3].tolist(), pa.list_(pa.float64(), 3))
    reversed_action = pa.array(actions[:, ::-1].tolist(), pa.list_(pa.float32(), 5))
    names = features(theirs)
    names["action"] |= {"names": {"motors": list(reversed(SPEC.action.names))}}
    names["observation.tcp.position"] = {"dtype": "float64", "shape": [3], "names": None}
    table = table.set_column(table.column_names.index("action"), "action", reversed_action)
    table = table.append_column("observation.tcp.position", position)
    state_names = [f"joint{i}" if i < 3 else n for i, n in enumerate(names["observation.state"]["names"])]
    names["observation.state"] |= {"names": state_names}
    other = rewritten(theirs, tmp_path / "other", table, features=names)
    rows = list(import_lerobot(other, tmp_path / "out", SPEC).all_transitions())
    assert rows[0].action.tobytes() == actions[0].tobytes()
    assert rows[0].observation["tcp.position"].tolist() == state[0, :3].tolist()


def test_a_mapping_says_what_names_do_not(theirs: Path, tmp_path: Path) -> None:
    names = features(theirs)
    names["observation.state"] |= {"names": None}
    names["action"] |= {"names": ["a", "b", "c", "d", "e"]}
    other = rewritten(theirs, tmp_path / "other", features=names)
    with pytest.raises(DatasetError) as caught:
        import_lerobot(other, tmp_path / "out", SPEC)
    for part in (
        "nothing called after tcp.position",
        "action (a, b, c, d, e)",
        "observation.state (24 elements)",
    ):
        assert part in str(caught.value)
    mapping, start = {"action": "action"}, 0
    for name, array in SPEC.observation.entries:
        mapping[name] = f"observation.state[{start}:{start + array.size}]"
        start += array.size
    found = list(import_lerobot(other, tmp_path / "out", SPEC, mapping).all_transitions())
    named = list(import_lerobot(theirs, tmp_path / "named", SPEC).all_transitions())
    for a, b in zip(found, named, strict=True):
        assert (
            SPEC.observation.vector(a.observation).tobytes()
            == SPEC.observation.vector(b.observation).tobytes()
        )


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"tcp.positon": "observation.state[0:3]"}, "names 'tcp.positon'; valid: tcp.position"),
        ({"tcp.position": "observation.pose"}, "mapped to 'observation.pose'; there is observation.state"),
        ({"tcp.position": "observation.state[0:2]"}, "'tcp.position' has 3 elements, .* 2"),
        ({"tcp.position": "observation.state[22:25]"}, "has 24 elements"),
        ({"tcp.position": "observation.state[1"}, "expected FEATURE or FEATURE"),
    ],
)
def test_wrong_mappings_are_refused(
    theirs: Path, tmp_path: Path, mapping: dict[str, str], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        import_lerobot(theirs, tmp_path / "out", SPEC, mapping)


def test_missing_arrays_are_named_with_what_there_is(theirs: Path, tmp_path: Path) -> None:
    arrays = dict(SPEC.observation.entries) | {"wrench": ArraySpec((6,), "N", "base")}
    spec = EnvSpec(Spec.of(arrays), SPEC.action, SPEC.control_rate, "push")
    with pytest.raises(DatasetError, match=r"nothing called after wrench of the task 'push'. It has .*tcp"):
        import_lerobot(theirs, tmp_path / "out", spec)


def test_the_task_must_be_named(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"was not exported by robot_rl.*name the task"):
        import_lerobot(theirs, tmp_path / "out")


def test_another_rate_is_refused(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has 10 frames/s, the task 'pick' has 20 control periods/s"):
        import_lerobot(theirs, tmp_path / "out", small_spec(20.0))


def test_values_outside_the_bounds_are_refused(theirs: Path, tmp_path: Path) -> None:
    spec = EnvSpec(SPEC.observation, replace(SPEC.action, low=-0.1, high=0.1), 10.0, "gentle")
    with pytest.raises(DatasetError, match=r"episode 0, frame 0: action: .* leaves its bounds \[-0.1, 0.1\]"):
        import_lerobot(theirs, tmp_path / "out", spec)


def test_several_tasks_are_refused(theirs: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(theirs, tmp_path / "other"))
    pq.write_table(pa.table({"task_index": [0, 1], "task": ["pick", "place"]}), other / fmt.TASKS)
    with pytest.raises(DatasetError, match="holds several tasks: 'pick', 'place'"):
        import_lerobot(other, tmp_path / "out", SPEC)


def test_success_may_be_told_by_the_reward_or_by_the_caller(theirs: Path, tmp_path: Path) -> None:
    rewarded = without(theirs, tmp_path / "rewarded", ["next.success"])
    found = import_lerobot(rewarded, tmp_path / "a", SPEC)
    assert [info.result.success for info in found.episodes] == [True, True, True]
    silent = without(rewarded, tmp_path / "silent", ["next.reward", "next.done"])
    with pytest.raises(DatasetError, match=r"neither next.success nor next.reward"):
        import_lerobot(silent, tmp_path / "b", SPEC)
    found = import_lerobot(silent, tmp_path / "b", SPEC, successful=True)
    assert [t.reward for t in found.transitions(found.episodes[0])] == [0.0, 0.0, 1.0]
    assert [info.result.reward for info in found.episodes] == [1.0, 1.0, 1.0]


def test_pictures_may_be_files(source: Dataset, tmp_path: Path) -> None:
    """A column of pictures that names files, instead of holding them."""
    other = tmp_path / "other"
    export_lerobot(source, other, "png")
    shutil.rmtree(other / "meta/robot_rl")
    without(other, other, [name for name in features(other) if name.startswith(fmt.OURS)])
    table, key = pq.read_table(other / FRAMES), "observation.images.front"
    cells = table[key].to_pylist()
    for i, cell in enumerate(cells):
        (other / f"{i}.png").write_bytes(cell["bytes"])
    named = pa.array([{"bytes": None, "path": f"{i}.png"} for i in range(len(cells))], table[key].type)
    pq.write_table(table.set_column(table.column_names.index(key), key, named), other / FRAMES)
    found = import_lerobot(other, tmp_path / "out", SPEC)
    first = source.pictures(source.episodes[0])["front"].images[0]
    assert np.array_equal(found.pictures(found.episodes[0])["front"].images[0], first)
    (other / "5.png").unlink()
    with pytest.raises(DatasetError, match=r"5.png of observation.images.front is missing"):
        import_lerobot(other, tmp_path / "again", SPEC)


def test_a_missing_video_is_named(theirs: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(theirs, tmp_path / "other"))
    (other / "videos/observation.images.front/chunk-000/file-000.mp4").unlink()
    with pytest.raises(
        DatasetError, match=r"video .*observation.images.front/chunk-000/file-000.mp4 is missing"
    ):
        import_lerobot(other, tmp_path / "out", SPEC)


def features(folder: Path) -> dict[str, Any]:
    return json.loads((folder / fmt.INFO).read_text())["features"]


def rewritten(source: Path, target: Path, table: pa.Table | None = None, **values: Any) -> Path:
    """A copy of a data set, or itself, with other frames or other values in its info."""
    if source != target:
        shutil.copytree(source, target)
    if table is not None:
        pq.write_table(table, target / FRAMES)
    info = json.loads((target / fmt.INFO).read_text())
    (target / fmt.INFO).write_text(json.dumps(info | values))
    return target


def without(source: Path, target: Path, names: Sequence[str]) -> Path:
    """A copy of a data set, or itself, without some features."""
    kept = {name: row for name, row in features(source).items() if name not in names}
    return rewritten(source, target, pq.read_table(source / FRAMES).drop_columns(list(names)), features=kept)
