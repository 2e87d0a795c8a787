"""The files of a run, after a crash too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robot_rl.data.run_directory import RunDirectory, read_metrics


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_a_killed_process_leaves_rows_that_a_resumed_one_goes_on_after(run: RunDirectory) -> None:
    """Cut anywhere in its last row, and at its end."""
    for step in (1, 2):
        run.log(step, {"loss": 0.5 * step})
    run.close()
    path = run.path / "metrics.jsonl"
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for end in (second, second + 1, len(whole) - 2, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:end])
        assert [row["step"] for row in read_metrics(path)] in ([1], [1, 2])
        resumed = RunDirectory(run.path)
        for step in (3, 4):
            resumed.log(step, {"loss": float("nan")})
        resumed.close()
        steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
        assert steps == ([1, 2, 3, 4] if end == len(whole) else [1, 3, 4])
    assert json.loads(path.read_text().splitlines()[-1])["loss"] is None
