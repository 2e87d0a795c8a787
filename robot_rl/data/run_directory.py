"""The directory of one run: its configuration, metrics, episodes, checkpoints, policy and summary.

config.yaml      the resolved configuration, as a ROS parameter file
provenance.json  task, seed, versions, git state, machine
metrics.jsonl    one object a row, with "step"; the same scalars as TensorBoard events
episodes/        one MCAP log an episode
checkpoints/     what a restarted learner goes on from
policy/          the policy bundle
summary.json     the outcome, written last
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from robot_rl.core.config import dump_yaml
from robot_rl.core.errors import RobotRlError

PACKAGES = ("numpy", "jax", "jaxlib", "mujoco", "pybullet", "gymnasium", "rclpy", "torch")
"""Packages whose versions a run records, where they are installed."""


class RunDirectory:
    """Writes the files of a run. Every write leaves a complete file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.episodes = path / "episodes"
        self.checkpoints = path / "checkpoints"
        self.policy = path / "policy"
        self.logs = path / "logs"
        self._metrics_file = path / "metrics.jsonl"
        self._logged = False
        self._tensorboard: Any = None
        self._start = time.monotonic()

    @classmethod
    def create(cls, path: Path, config: Any, task: str, seed: int) -> RunDirectory:
        """Make a new run directory; an existing one that holds a run is refused."""
        check_vacant(path)
        run = cls(path)
        try:
            for folder in (run.episodes, run.checkpoints, run.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RobotRlError(
                f"cannot write a run into {path}: {error.strerror}; choose another --out"
            ) from None
        dump_yaml(config, path / "config.yaml")
        write_json(path / "provenance.json", provenance(task, seed))
        return run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one row of metrics. NaN and infinity are written as null: JSON has no word for them."""
        wall = round(time.monotonic() - self._start, 3)
        row = {"step": step, "wall_s": wall} | {k: _finite(v) for k, v in values.items()}
        if not self._logged:
            cut_torn_line(self._metrics_file)
            self._logged = True
        with self._metrics_file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        board = self.open_board()
        for name, value in values.items():
            if math.isfinite(value):
                board.add_scalar(name, value, step)

    def open_board(self) -> Any:
        """Load what writes TensorBoard's files, which takes a second; the first `log` does it otherwise."""
        if self._tensorboard is None:
            from tensorboardX import SummaryWriter  # not needed by a reader of runs

            self._tensorboard = SummaryWriter(str(self.path / "tensorboard"))
        return self._tensorboard

    def write_summary(self, summary: Mapping[str, Any]) -> Path:
        target = self.path / "summary.json"
        write_json(target, summary)
        return target

    def close(self) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None


def check_vacant(path: Path, resumable: bool = True) -> None:
    """Raise `RobotRlError` when the directory `path` holds a run already."""
    if (path / "provenance.json").exists():
        more = ", or continue it with --resume" if resumable else ""
        raise RobotRlError(f"{path} already holds a run: choose another --out{more}")


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without an end, which a killed process leaves; the next row would run into it."""
    if path.exists():
        whole = path.read_bytes().rfind(b"\n") + 1
        os.truncate(path, whole)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All rows of a `metrics.jsonl`; a last line that was cut off by a crash is left out."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write `data` so that the file is either the old one or the new one, never a part."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(json.dumps(data, indent=2, default=_plain) + "\n")
    partial.replace(path)


def provenance(task: str, seed: int) -> dict[str, Any]:
    """What one needs to know to run it again."""
    return {
        "task": task,
        "seed": seed,
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
        "git": git_state(),
        "machine": machine(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, of this project and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for package in ("robot-rl", *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any]:
    """Commit of the source tree and whether it was changed; empty outside a git checkout."""
    root = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(root)]
    try:
        commit = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run(
            [*command, "status", "--porcelain"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}


def machine() -> dict[str, Any]:
    """Processor, cores and system, for figures that depend on them."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform()}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")
