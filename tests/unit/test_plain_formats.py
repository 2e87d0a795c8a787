"""Transitions in Parquet and NPZ files come back bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rl.core.errors import DatasetError
from robot_rl.core.spec import EnvSpec
from robot_rl.data.arrow import read_table
from robot_rl.data.columns import Table
from robot_rl.data.dataset import Dataset
from robot_rl.data.edit import merge
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections
from robot_rl.data.plain import export_npz, export_parquet, import_plain, read_npz, read_parquet
from tests.unit.data_samples import assert_same, feature_spec, image_spec, small_spec
from tests.unit.export_samples import record_run

FORMATS = {".parquet": (export_parquet, read_parquet), ".npz": (export_npz, read_npz)}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("spec", [small_spec(), image_spec(), feature_spec()], ids=lambda spec: spec.name)
def test_transitions_come_back_bit_for_bit(tmp_path: Path, suffix: str, spec: EnvSpec) -> None:
    dataset = record_run(tmp_path / "run", spec)
    export, read = FORMATS[suffix]
    export(dataset, tmp_path / f"out{suffix}")
    table = read(tmp_path / f"out{suffix}")
    assert (table.spec, table.digest) == (dataset.spec, dataset.digest)
    written = list(dataset.all_transitions())
    assert len(written) == sum(e.rows for e in table.episodes) > 0
    for ours, theirs in zip(written, table.transitions(), strict=True):
        assert_same(ours, theirs)
    assert [e.episode for e in table.episodes] == [info.episode for info in dataset.episodes]
    assert [e.result for e in table.episodes] == [info.result for info in dataset.episodes]


@pytest.mark.parametrize("suffix", FORMATS)
def test_odd_floats_keep_their_bits(tmp_path: Path, suffix: str) -> None:
    """A NaN with a payload, a negative zero and a subnormal number."""
    odd = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x00000001, 0, 0x7F800000], np.uint32)
    dataset = record_run(tmp_path / "run", small_spec(), {"tcp.velocity": odd.view(np.float32)}, math.inf)
    export, read = FORMATS[suffix]
    export(dataset, tmp_path / f"out{suffix}")
    first = read(tmp_path / f"out{suffix}").transitions()[0]
    assert first.observation["tcp.velocity"].tobytes() == odd.tobytes()
    assert first.reward == math.inf


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_becomes_logs_again(tmp_path: Path, suffix: str) -> None:
    dataset = record_run(tmp_path / "run", small_spec())
    save_corrections(tmp_path / "run" / "episodes" / CORRECTIONS, [Correction(1, 0, 2, 1)])
    dataset = Dataset.open(tmp_path / "run")
    export, _ = FORMATS[suffix]
    export(dataset, tmp_path / f"out{suffix}")
    again = import_plain(tmp_path / f"out{suffix}", tmp_path / "again")
    assert again.digest == dataset.digest
    assert again.corrections(again.episodes[1]) == (Correction(1, 0, 2, 1),)
    assert [e.path.name for e in again.episodes] == [e.path.name for e in dataset.episodes]


def test_a_parquet_file_is_one_for_every_table_tool(tmp_path: Path) -> None:
    dataset = record_run(tmp_path / "run", small_spec())
    export_parquet(dataset, tmp_path / "out.parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.num_row_groups == len(dataset)
    assert file.schema_arrow.field("observation.tcp.position").type.list_size == 3
    assert str(file.schema_arrow.field("reward").type) == "double"
    actors = file.read(["actor"]).column("actor").to_pylist()
    assert set(actors) == {"actor"}


def test_nothing_is_written_over(tmp_path: Path) -> None:
    dataset = record_run(tmp_path / "run", small_spec())
    for suffix, (export, _) in FORMATS.items():
        out = tmp_path / f"out{suffix}"
        out.write_text("precious")
        with pytest.raises(DatasetError, match="exists already"):
            export(dataset, out)
        assert out.read_text() == "precious"


@pytest.mark.parametrize("suffix", FORMATS)
def test_runs_with_the_same_keys_are_to_be_merged_first(tmp_path: Path, suffix: str) -> None:
    record_run(tmp_path / "a", small_spec())
    record_run(tmp_path / "b", small_spec(), reward=3.0)
    export, read = FORMATS[suffix]
    both = Dataset.open(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DatasetError, match=r"a/episodes/000000.mcap and of .*b/.*robot-rl data merge"):
        export(both, tmp_path / f"out{suffix}")
    assert not list(tmp_path.glob("out*"))
    merged = merge(both.only(where=lambda info: info.episode.index == 0), tmp_path / "merged")
    export(merged, tmp_path / f"out{suffix}")
    assert [e.rows for e in read(tmp_path / f"out{suffix}").episodes] == [3, 3]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", None, "a.parquet is missing"),
        ("a.npz", None, "a.npz is missing"),
        ("a.parquet", b"no", "not a Parquet file"),
        ("a.npz", b"no", "not an NPZ file"),
        ("a.csv", b"no", "valid: .parquet, .npz"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        import_plain(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "theirs.npz", action=np.zeros(3))
    with pytest.raises(DatasetError, match="was not written by robot_rl"):
        read_npz(tmp_path / "theirs.npz")
    table = read_table(_exported(tmp_path)).drop_columns(["penalty"])
    pq.write_table(table, tmp_path / "short.parquet")
    with pytest.raises(DatasetError, match="no column 'penalty'"):
        read_parquet(tmp_path / "short.parquet")


def test_columns_must_fit_the_spec(tmp_path: Path) -> None:
    table = read_parquet(_exported(tmp_path))
    short = {**table.columns, "action": table.columns["action"][:, :2]}
    with pytest.raises(DatasetError, match=r"'action' is float32 \(8, 2\).*float32 \(8, 5\)"):
        Table(table.spec, table.digest, table.episodes, short).check("here")


def _exported(folder: Path) -> Path:
    export_parquet(record_run(folder / "run", small_spec()), folder / "out.parquet")
    return folder / "out.parquet"
