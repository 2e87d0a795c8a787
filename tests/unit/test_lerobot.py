"""Exports in the LeRobot format: laid out as the format says, and back bit for bit."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rl.core.errors import DatasetError, MissingDependencyError
from robot_rl.core.types import Episode, Key, Mode
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.dataset import Dataset
from robot_rl.data.images import images as logged_images
from robot_rl.data.lerobot_export import export_lerobot
from robot_rl.data.lerobot_import import import_lerobot
from robot_rl.data.provenance import history
from robot_rl.data.recorder import EpisodeRecorder
from tests.unit.data_samples import assert_same, feature_spec, image_spec, small_spec, transition
from tests.unit.export_samples import EPISODES, psnr, record_run

CAMERAS = {"wrist": (48, 64), "side": (33, 47)}
FRAMES = sum(steps for _, _, steps in EPISODES)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Recorded with two cameras, features of both in the observation."""
    return record_run(tmp_path_factory.mktemp("seen"), feature_spec(), cameras=CAMERAS)


@pytest.fixture(scope="module")
def exports(seen: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One export for each way to write pictures."""
    folder = tmp_path_factory.mktemp("exports")
    for how in get_args(fmt.Images):
        export_lerobot(seen, folder / how, how)
    return {how: folder / how for how in get_args(fmt.Images)}


@pytest.mark.parametrize("how", get_args(fmt.Images))
def test_numbers_come_back_bit_for_bit(
    seen: Dataset, exports: dict[str, Path], tmp_path: Path, how: str
) -> None:
    again = import_lerobot(exports[how], tmp_path / "again")
    assert again.spec == seen.spec
    assert again.digest == seen.digest
    for ours, theirs in zip(seen.all_transitions(), again.all_transitions(), strict=True):
        assert_same(ours, theirs)
    assert [(e.episode, e.result) for e in again.episodes] == [(e.episode, e.result) for e in seen.episodes]


@pytest.mark.parametrize("how", ["lossless", "png", "video"])
def test_pictures_come_back(seen: Dataset, exports: dict[str, Path], tmp_path: Path, how: str) -> None:
    """Bit for bit without loss, otherwise close; also that of the last observation, which has no frame."""
    again = import_lerobot(exports[how], tmp_path / "again")
    for before, after in zip(seen.episodes, again.episodes, strict=True):
        written, found = seen.pictures(before), again.pictures(after)
        assert list(written) == list(found) == ["wrist", "side"]
        for camera in CAMERAS:
            assert written[camera].stamps.tolist() == found[camera].stamps.tolist()
            for a, b in zip(written[camera].images, found[camera].images, strict=True):
                assert np.array_equal(a, b) if how != "video" else psnr(a, b) > 24


@pytest.mark.parametrize(
    "spec", [small_spec(), image_spec(), small_spec(12.5)], ids=["pick", "image", "slow"]
)
def test_any_spec_comes_back(tmp_path: Path, spec: Any) -> None:
    """Also one without vectors, with pictures as arrays, with 64 bit, or at an odd rate."""
    dataset = record_run(tmp_path / "run", spec)
    export_lerobot(dataset, tmp_path / "out", "none")
    assert import_lerobot(tmp_path / "out", tmp_path / "again").digest == dataset.digest
    assert json.loads((tmp_path / "out" / fmt.INFO).read_text())["fps"] == spec.control_rate


def test_odd_floats_keep_their_bits(tmp_path: Path) -> None:
    odd = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x00000001, 0, 0x7F800000], np.uint32)
    dataset = record_run(tmp_path / "run", small_spec(), {"tcp.velocity": odd.view(np.float32)}, 0.1 + 0.2)
    export_lerobot(dataset, tmp_path / "out", "none")
    again = next(import_lerobot(tmp_path / "out", tmp_path / "again").all_transitions())
    assert again.observation["tcp.velocity"].tobytes() == odd.tobytes()
    assert again.reward == 0.1 + 0.2


def test_next_observations_that_no_frame_follows_are_kept(tmp_path: Path) -> None:
    """After a gap the next observation is not that of the next transition that is there."""
    spec = small_spec()
    rows = [transition(spec, i, episode=0, step=2 * i, terminated=i == 2, truncated=False) for i in range(3)]
    with EpisodeRecorder(tmp_path / "run", spec) as recorder:
        recorder.begin(Episode(0, 1, Mode.TRAIN))
        for row in rows:
            recorder.transition(row)
    export_lerobot(Dataset.open(tmp_path / "run"), tmp_path / "out", "none")
    assert pq.read_metadata(tmp_path / "out" / fmt.NEXT_OBSERVATIONS).num_rows == 3
    again = import_lerobot(tmp_path / "out", tmp_path / "again")
    for ours, theirs in zip(rows, again.all_transitions(), strict=True):
        assert_same(ours, theirs)
    assert again.episodes[0].result is None


def test_the_files_are_where_the_format_says(exports: dict[str, Path]) -> None:
    meta = {"meta/info.json", "meta/stats.json", "meta/tasks.parquet", "README.md"}
    meta |= {"meta/episodes/chunk-000/file-000.parquet", "data/chunk-000/file-000.parquet"}
    ours = {fmt.EXPORT, fmt.OBSERVATIONS, fmt.NEXT_OBSERVATIONS}
    videos = {f"videos/observation.images.{camera}/chunk-000/file-000.mp4" for camera in CAMERAS}
    for how, folder in exports.items():
        files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        assert files == meta | ours | (videos if how in ("video", "lossless") else set())


def test_info_describes_the_frames(exports: dict[str, Path]) -> None:
    info = json.loads((exports["video"] / fmt.INFO).read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, FRAMES, 1)
    assert (info["fps"], info["splits"], info["chunks_size"]) == (10, {"train": "0:3"}, 1000)
    features = info["features"]
    assert features["observation.state"] == {
        "dtype": "float32",
        "shape": [3],
        "names": ["tcp.position.0", "tcp.position.1", "tcp.position.2"],
    }
    assert features["action"]["names"] == ["x", "y", "z", "yaw", "gripper"]
    wrist = features["observation.images.wrist"]
    assert (wrist["dtype"], wrist["shape"]) == ("video", [48, 64, 3])
    assert wrist["names"] == ["height", "width", "channels"]
    assert wrist["info"]["video.codec"] == "h264"
    table = pq.read_table(exports["video"] / "data/chunk-000/file-000.parquet")
    numbers = [name for name, row in features.items() if row["dtype"] != "video"]
    assert sorted(table.column_names) == sorted(numbers)
    png = json.loads((exports["png"] / fmt.INFO).read_text())
    assert png["video_path"] is None
    assert png["features"]["observation.images.side"]["dtype"] == "image"


def test_frames_count_and_tell_the_time(exports: dict[str, Path]) -> None:
    rows = pq.read_table(exports["none"] / "data/chunk-000/file-000.parquet").to_pydict()
    assert rows["index"] == list(range(FRAMES))
    assert rows["episode_index"] == [0, 0, 0, 1, 1, 1, 1, 2]
    assert rows["frame_index"] == [0, 1, 2, 0, 1, 2, 3, 0]
    assert rows["timestamp"] == [float(np.float32(i / 10)) for i in rows["frame_index"]]
    assert rows["next.done"] == [False, False, True, False, False, False, True, True]
    assert rows["next.success"] == [False, False, True, False, False, False, False, True]
    assert rows["robot_rl.terminated"] == rows["next.success"]
    assert set(rows["task_index"]) == {0}


def test_episodes_say_where_they_lie(exports: dict[str, Path]) -> None:
    rows = pq.read_table(exports["video"] / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["length"] for row in rows] == [3, 4, 1]
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in rows] == [(0, 3), (3, 7), (7, 8)]
    key = "videos/observation.images.side"
    assert [row[f"{key}/from_timestamp"] for row in rows] == [0.0, 0.3, 0.7]
    assert [row[f"{key}/to_timestamp"] for row in rows] == [0.3, 0.7, 0.8]
    for name in (f"{key}/file_index", "data/file_index", "meta/episodes/file_index"):
        assert {row[name] for row in rows} == {0}
    assert rows[1]["tasks"] == ["features"]
    assert np.shape(rows[1]["stats/observation.images.side/mean"]) == (3, 1, 1)
    assert rows[1]["stats/action/count"] == [4]


def test_the_task_is_the_index_of_its_table(exports: dict[str, Path]) -> None:
    table = pq.read_table(exports["none"] / fmt.TASKS)
    assert table.to_pydict() == {"task_index": [0], "task": ["features"]}
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_statistics_are_those_of_the_data(seen: Dataset, exports: dict[str, Path]) -> None:
    stats = json.loads((exports["png"] / fmt.STATS).read_text())
    actions = np.array([t.action for t in seen.all_transitions()], float)
    assert stats["action"]["min"] == actions.min(axis=0).tolist()
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats["action"]["q90"], np.quantile(actions, 0.9, axis=0), rtol=1e-12)
    assert stats["action"]["count"] == stats["next.reward"]["count"] == [FRAMES]
    # The last picture of an episode belongs to no frame.
    shown = np.concatenate([seen.pictures(info)["side"].images[:-1] for info in seen.episodes]) / 255.0
    pixels = shown.reshape(-1, 3)
    side = stats["observation.images.side"]
    for name, value in (("mean", pixels.mean(0)), ("std", pixels.std(0)), ("max", pixels.max(0))):
        np.testing.assert_allclose(np.array(side[name]), value.reshape(3, 1, 1), rtol=1e-9)
    quantile = np.quantile(pixels, 0.5, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(np.array(side["q50"]).reshape(3), quantile, rtol=1e-12)
    assert side["count"] == [FRAMES]


def test_the_export_names_its_source(seen: Dataset, exports: dict[str, Path]) -> None:
    assert seen.digest in (exports["video"] / "README.md").read_text()
    assert json.loads((exports["video"] / fmt.EXPORT).read_text())["digest"] == seen.digest


def test_the_logs_say_where_they_come_from(seen: Dataset, exports: dict[str, Path], tmp_path: Path) -> None:
    again = import_lerobot(exports["video"], tmp_path / "again")
    arguments = {"folder": "video", "images": "video"}
    step = {"operation": "import", "arguments": arguments, "source": seen.digest}
    assert history(again.episodes[2].path) == [step | {"episode": 2}]
    export_lerobot(again, tmp_path / "second", "none")
    twice = import_lerobot(tmp_path / "second", tmp_path / "twice")
    assert [done["operation"] for done in history(twice.episodes[2].path)] == ["import", "import"]


def test_full_files_are_followed_by_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of some bytes every episode gets files of its own, and chunks are full after two."""
    monkeypatch.setattr("robot_rl.data.lerobot_export._MEGABYTE", 1)
    monkeypatch.setattr(fmt, "FILES_PER_CHUNK", 2)
    dataset = record_run(tmp_path / "run", small_spec(), cameras={"wrist": (64, 64)})
    # An encoder holds pictures back, so that a short video may not yet have grown.
    export_lerobot(dataset, tmp_path / "out", "png")
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["data/chunk_index"], row["data/file_index"]) for row in rows] == [(0, 0), (0, 1), (1, 0)]
    assert (tmp_path / "out/data/chunk-001/file-000.parquet").is_file()
    assert import_lerobot(tmp_path / "out", tmp_path / "again").digest == dataset.digest


def test_a_frame_shows_what_the_actor_saw(tmp_path: Path) -> None:
    """The newest picture by the tick; a faster camera's others stay in the log, and each comes back once."""
    dataset = record_run(tmp_path / "run", small_spec(), cameras={"wrist": (16, 16)}, camera_rate=2.5)
    info = dataset.episodes[1]
    export_lerobot(dataset, tmp_path / "out", "png")
    stamps = pq.read_table(tmp_path / "out" / fmt.DATA.format(**fmt.place(0)))["robot_rl.picture_stamp.wrist"]
    exposed = dataset.pictures(info)["wrist"].stamps
    ticks = fmt.see_ticks(dataset.spec, dataset.transitions(info))
    assert stamps.to_pylist()[3:7] == [int(exposed[exposed <= tick].max()) for tick in ticks]
    again = import_lerobot(tmp_path / "out", tmp_path / "again")
    back = [picture.stamp for _, picture in logged_images(again.episodes[1].path, ["wrist"])]
    assert back == sorted(set(back))
    assert set(back) < set(exposed.tolist())


def test_episodes_without_transitions_are_left_out(tmp_path: Path) -> None:
    dataset = record_run(tmp_path / "run", small_spec())
    with EpisodeRecorder(tmp_path / "run" / "episodes", small_spec()) as recorder:
        recorder.begin(Episode(3, 9, Mode.EVAL))
    dataset = Dataset.open(tmp_path / "run")
    export_lerobot(dataset, tmp_path / "out", "none")
    assert len(import_lerobot(tmp_path / "out", tmp_path / "again")) == len(dataset) - 1 == 3
    with pytest.raises(DatasetError, match="no episode of this data set has transitions"):
        export_lerobot(dataset.only([Mode.EVAL]), tmp_path / "none")
    assert not list(tmp_path.glob("none*"))


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    record_run(tmp_path / "run", small_spec(), cameras={"wrist": (16, 16)})
    with EpisodeRecorder(tmp_path / "run" / "episodes", small_spec()) as recorder:
        recorder.begin(Episode(3, 9, Mode.TRAIN))
        recorder.transition(transition(small_spec(), 30, episode=3, step=0, stamp=4_100_000_000))
    dataset = Dataset.open(tmp_path / "run")
    with pytest.raises(DatasetError, match=r"episode 3 .* has pictures of no camera.* of wrist 16 x 16"):
        export_lerobot(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_lerobot(dataset, tmp_path / "out", "none")


def test_a_camera_that_stopped_is_named(tmp_path: Path) -> None:
    dataset = record_run(tmp_path / "run", small_spec(2.0), cameras={"wrist": (16, 16)}, camera_rate=0.2)
    with pytest.raises(DatasetError, match=r"episode 0 .* has no picture of wrist within 0.5 s"):
        export_lerobot(dataset, tmp_path / "out")


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (fmt.INFO, "is not a LeRobot data set"),
        (fmt.TASKS, "tasks.parquet is missing"),
        ("meta/episodes/chunk-000/file-000.parquet", "has no meta/episodes"),
        ("data/chunk-000/file-000.parquet", "data/chunk-000/file-000.parquet is missing"),
        ("videos/observation.images.side/chunk-000/file-000.mp4", "side/chunk-000/file-000.mp4 is missing"),
        (fmt.OBSERVATIONS, "observations.parquet is missing"),
        (fmt.NEXT_OBSERVATIONS, "next_observations.parquet is missing"),
        (fmt.EXPORT, "was not exported by robot_rl"),
    ],
)
def test_missing_files_are_named(exports: dict[str, Path], tmp_path: Path, gone: str, message: str) -> None:
    broken = Path(shutil.copytree(exports["lossless"], tmp_path / "broken"))
    (broken / gone).unlink()
    with pytest.raises(DatasetError, match=message):
        import_lerobot(broken, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("version", "message"),
    [("v2.1", "version v2.1.*convert_dataset_v21_to_v30"), ("v4.0", "version v4.0; valid: v3.0")],
)
def test_other_versions_are_refused(
    exports: dict[str, Path], tmp_path: Path, version: str, message: str
) -> None:
    broken = changed(exports["none"], tmp_path / "broken", codebase_version=version)
    with pytest.raises(DatasetError, match=message):
        import_lerobot(broken, tmp_path / "out")


def test_counts_must_agree(exports: dict[str, Path], tmp_path: Path) -> None:
    broken = changed(exports["none"], tmp_path / "broken", total_episodes=7)
    with pytest.raises(DatasetError, match="says 7 episodes, meta/episodes has 3"):
        import_lerobot(broken, tmp_path / "out")
    path = broken / "data/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path).slice(0, 5), path)
    changed(broken, broken, total_episodes=3)
    with pytest.raises(DatasetError, match="has 2 frames of episode 1, meta/episodes says 4"):
        import_lerobot(broken, tmp_path / "out")


@pytest.mark.parametrize("name", ["run", "picture.side", "observation.tcp.position"])
def test_missing_columns_are_named(exports: dict[str, Path], tmp_path: Path, name: str) -> None:
    broken = Path(shutil.copytree(exports["png"], tmp_path / "broken"))
    path = broken / fmt.NEXT_OBSERVATIONS
    pq.write_table(pq.read_table(path).drop_columns([name]), path)
    with pytest.raises(DatasetError, match=f"next_observations.parquet.* column '{name}'"):
        import_lerobot(broken, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is damaged"), ("[]", "is damaged"), ('{"codebase_version": "v3.0"}', "has no 'fps'")],
)
def test_a_damaged_info_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / fmt.INFO).write_text(text)
    with pytest.raises(DatasetError, match=message):
        import_lerobot(tmp_path, tmp_path / "out")


def test_another_spec_is_refused(seen: Dataset, exports: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not fit the wanted task"):
        import_lerobot(exports["none"], tmp_path / "out", small_spec())
    import_lerobot(exports["none"], tmp_path / "out", replace(seen.spec, name="a variant"))


def test_an_export_that_was_cut_elsewhere_is_refused(exports: dict[str, Path], tmp_path: Path) -> None:
    broken = Path(shutil.copytree(exports["none"], tmp_path / "broken"))
    text = (broken / fmt.EXPORT).read_text()
    first = fmt.name_of(Key("actor", 1, 0))
    (broken / fmt.EXPORT).write_text(text.replace(f'"{first}"', '"actor/1/99"'))
    with pytest.raises(DatasetError, match=f"episode 0 .* begins with the transition {first}"):
        import_lerobot(broken, tmp_path / "out")


def test_runs_with_the_same_keys_are_to_be_merged_first(seen: Dataset, tmp_path: Path) -> None:
    record_run(tmp_path / "b", seen.spec, reward=3.0)
    both = Dataset.open(seen.episodes[0].path.parent, tmp_path / "b")
    with pytest.raises(DatasetError, match="robot-rl data merge"):
        export_lerobot(both, tmp_path / "out", "none")
    assert not (tmp_path / "out").exists()


def test_wrong_wishes_are_refused(seen: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="valid: video, lossless, png, none"):
        export_lerobot(seen, tmp_path / "out", "gif")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="expected 1 or more"):
        export_lerobot(seen, tmp_path / "out", data_mb=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    with pytest.raises(DatasetError, match="exists already"):
        export_lerobot(seen, tmp_path / "full")


def test_a_missing_package_is_named(seen: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"av is not installed.*pip install 'robot-rl\[data\]'"):
        export_lerobot(seen, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def changed(source: Path, target: Path, **values: Any) -> Path:
    """A copy of a data set, or itself, with other values in its info."""
    if source != target:
        shutil.copytree(source, target)
    info = json.loads((target / fmt.INFO).read_text())
    (target / fmt.INFO).write_text(json.dumps(info | values))
    return target
