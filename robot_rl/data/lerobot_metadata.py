"""The texts and small tables of an export in the LeRobot format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_rl.core.spec import EnvSpec
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.arrow import need, write_table
from robot_rl.data.lerobot_stats import Stats, to_json


def write_info(out: Path, info: Mapping[str, Any]) -> None:
    """Write `fmt.INFO`, with what is always the same."""
    same = {"codebase_version": fmt.VERSION, "robot_type": None, "total_tasks": 1}
    paths = {"chunks_size": fmt.FILES_PER_CHUNK, "data_path": fmt.DATA}
    splits = {"splits": {"train": f"0:{info['total_episodes']}"}}
    write_json(out / fmt.INFO, same | paths | splits | dict(info))


def write_stats(out: Path, stats: Mapping[str, Stats]) -> None:
    """Write `fmt.STATS`."""
    write_json(out / fmt.STATS, to_json(stats))


def write_task(out: Path, name: str) -> None:
    """Write `fmt.TASKS`, with the name as the index of the data frame that pandas makes of the table."""
    pa = need("pyarrow", "pyarrow")
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": [name]})
    kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    columns = [
        {"name": column, "field_name": column, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for column, (kind, numpy) in kinds.items()
    ]
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), out / fmt.TASKS)


def write_episodes(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `fmt.EPISODES`."""
    own = {f"meta/episodes/{name}": value for name, value in fmt.place(0).items()}
    table = need("pyarrow", "pyarrow").Table.from_pylist([{**row, **own} for row in rows])
    write_table(table, out / fmt.EPISODES.format(**fmt.place(0)))


def stats_row(stats: Mapping[str, Stats]) -> dict[str, list]:
    """The statistics of an episode as columns of `fmt.EPISODES`."""
    return {
        f"stats/{feature}/{name}": values
        for feature, row in to_json(stats).items()
        for name, values in row.items()
    }


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def write_readme(out: Path, spec: EnvSpec, digest: str, episodes: int, frames: int, images: str) -> None:
    """Write what a reader of the folder, or its page on a hub, is told."""
    kept = {"video": "H.264 video, with loss", "none": "not exported"}.get(
        images, f"{images}, every bit kept"
    )
    (out / "README.md").write_text(f"""---
tags: [LeRobot, robotics]
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# {spec.name}

{episodes} episodes, {frames} frames at {fmt.rate(spec)} Hz, in the LeRobot format {fmt.VERSION}.

- Exported by robot_rl from the data set with the digest `{digest}`, of the spec `{spec.digest}`.
- Pictures: {kept}.
- A frame is a transition: `observation.*` before the action, `action` as it was executed, `next.*` after it.
- `robot_rl.source` says who acted: 0 policy, 1 person, 2 demonstration, 3 none of these:
  the arm held still for a device that was lost.
- `meta/robot_rl/` holds what the format has no place for; `robot-rl data import` makes logs of it again.
""")
