"""What `robot-rl data` says about data sets: rows, tables and their JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot_rl.cli.report import percent, print_columns, print_table
from robot_rl.core.errors import DatasetError, LogError
from robot_rl.data.dataset import Dataset, outcome_text
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.images import logged_cameras
from robot_rl.data.provenance import history
from robot_rl.data.statistics import ArrayStatistics, DatasetStatistics


def dataset_facts(path: Path) -> dict[str, Any]:
    """What `list` says about a data set; beside its path only `error` where it cannot be read."""
    try:
        dataset = Dataset.open(path)
        cameras = dict.fromkeys(camera for e in dataset.episodes for camera in logged_cameras(e.path))
        results = [info.result for info in dataset.episodes if info.result is not None]
        return {
            "path": str(path),
            "task": dataset.spec.name,
            "episodes": len(dataset),
            "finished": len(results),
            "successes": sum(result.success for result in results),
            "steps": sum(1 for _ in dataset.all_transitions()),
            "cameras": list(cameras),
            "bytes": sum(info.path.stat().st_size for info in dataset.episodes),
            "digest": dataset.digest,
        }
    except (DatasetError, LogError) as error:
        return {"path": str(path), "error": str(error)}


def dataset_line(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table of data sets."""
    if "error" in row:
        return (row["path"], f"cannot be read: {row['error']}", "", "", "", "", "", "")
    rate = percent(row["successes"] / row["finished"]) if row["finished"] else "-"
    size = f"{row['bytes'] / 1e6:.1f} MB"
    cameras = ", ".join(row["cameras"]) or "-"
    return (
        row["path"], row["task"], str(row["episodes"]), rate, str(row["steps"]), cameras, size, row["digest"]
    )  # fmt: skip


def print_statistics(dataset: Dataset, found: DatasetStatistics, title: str) -> None:
    """The table of a data set's statistics, and that of its arrays."""
    rows = [("task", found.task), ("digest", dataset.digest), ("transitions", str(found.transitions))]
    for mode, one in found.modes.items():
        text = f"{one.episodes} episodes, {percent(one.success_rate)} succeed"
        text += f", {one.unfinished} unfinished" if one.unfinished else ""
        if one.length is not None:
            length = one.length
            text += f", {length.minimum} to {length.maximum} steps (median {length.median:g})"
        rows.append((mode, text))
    rows.append(("acted", ", ".join(f"{name.lower()} {n}" for name, n in found.sources.items()) or "-"))
    rows.append(("by a person", percent(found.human_share)))
    rows.append(("gripper switches", str(found.gripper_switches)))
    if found.key_labels or found.corrected_frames:
        held = ", ".join(f"stage {stage}: {n}" for stage, n in found.key_labels.items())
        rows.append(("frame labels", f"{held or 'none'} by key; {found.corrected_frames} by hand"))
    for camera, track in found.cameras.items():
        text = f"{track.frames} pictures at {track.rate:g} Hz"
        text += f", none in {len(track.without)} episodes" if track.without else ""
        rows.append((f"camera {camera}", text))
    rows += [("made by", _step_text(step)) for step in history(dataset.episodes[0].path)]
    print_table(title, rows)
    arrays = [_array_row(dataset, name, one) for name, one in found.arrays.items()]
    if arrays:
        print_columns("arrays, over all elements", ("array", "unit", "min", "max", "mean", "std"), arrays)


def _array_row(dataset: Dataset, name: str, found: ArrayStatistics) -> tuple[str, ...]:
    """One line an array: the extremes over its elements, the mean of the means, the largest deviation."""
    unit = dataset.spec.observation[name].unit if name in dataset.spec.observation.arrays else "1"
    mean = sum(found.mean) / max(len(found.mean), 1)
    figures = (min(found.minimum), max(found.maximum), mean, max(found.deviation))
    return (name, unit, *(f"{figure:.3g}" for figure in figures))


def print_episodes(dataset: Dataset) -> None:
    """The table of all episodes."""
    rows = [tuple(str(value) for value in episode_facts(dataset, info).values()) for info in dataset.episodes]
    print_columns(
        "episodes", ("log", "episode", "mode", "ended", "steps", "transitions", "by a person"), rows
    )


def episode_facts(dataset: Dataset, info: EpisodeInfo) -> dict[str, Any]:
    """One row of that table."""
    result = info.result
    return {
        "log": str(info.path),
        "episode": info.episode.index,
        "mode": info.episode.mode.value,
        "ended": outcome_text(info),
        "steps": result.steps if result is not None else None,
        "transitions": len(dataset.transitions(info)),
        "human_steps": result.human_steps if result is not None else None,
    }


def _step_text(step: dict[str, Any]) -> str:
    arguments = ", ".join(f"{name} {value}" for name, value in step["arguments"].items() if value)
    return f"{step['operation']} of {step['source']}" + (f" ({arguments})" if arguments else "")
