"""`robot-rl up` from the user's side: interrupt it, go on with it, read what it has made."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from policies.bundle import load_bundle
from robot_rl.core.types import Mode
from robot_rl.data.episode_log import read_info
from robot_rl.data.journal import read_journal
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL
from robot_rl.tasks import load
from tests.ros.graphs import PATIENCE, REACH

SETTINGS = [
    word
    for name, value in REACH.items()
    for word in (f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value]))
]


def up(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "robot_rl", "up", "franka_reach", "--json", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_episodes(results: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while sum(1 for _ in read_results(results)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gapless(sequences: Sequence[int]) -> bool:
    return sorted(sequences) == list(range(len(sequences)))


def test_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = up("--out", str(out), *SETTINGS)
    wait_for_episodes(out / "results.jsonl", 2, first)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=PATIENCE)
    assert first.returncode == 130
    assert "add --resume to go on" in said
    assert not (out / "summary.json").exists()

    refused = up("--out", str(out), *SETTINGS)
    _, said = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 1
    assert "already holds a run" in said
    assert "Traceback" not in said

    second = up("--out", str(out), "--resume", *SETTINGS)
    printed, said = second.communicate(timeout=2 * PATIENCE)
    assert second.returncode == 0, said
    summary = json.loads(printed)
    assert summary["env_steps"] >= REACH["session.max_steps"]
    assert summary["actor_runs"] == 2
    assert summary["dataset"]["episodes"] == summary["demonstrations"] > 0
    assert {"task", "seed", "updates", "wall_s", "train_s", "success_rate", "episodes"} <= set(summary)
    assert {"interventions", "versions"} <= set(summary)

    keys = [t.key for t in read_journal(out / JOURNAL)]
    assert gapless([k.sequence for k in keys if k.run == 0])
    assert gapless([k.sequence for k in keys if k.run == 1])
    load_bundle(out / "policy", load("franka_reach").spec)
    logged = [read_info(path) for path in sorted((out / "episodes").glob("*.mcap"))]
    finished = [r for r in read_results(out / "results.jsonl") if r.episode.mode is not Mode.EVAL]
    assert [info.result for info in logged if info.result is not None] == finished
