"""`robot-rl data COMMAND`: see what is in data sets, change them, and carry them to other formats."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robot_rl.cli.arguments import parse
from robot_rl.cli.data_options import (
    ExportOptions,
    ImportOptions,
    ListOptions,
    MergeOptions,
    RelabelOptions,
    ShowOptions,
    TrimOptions,
)
from robot_rl.cli.data_tables import (
    dataset_facts,
    dataset_line,
    episode_facts,
    print_episodes,
    print_statistics,
)
from robot_rl.cli.report import print_columns, print_json
from robot_rl.core.errors import ConfigError, DatasetError, nearest
from robot_rl.data.black_box import FOLDER as BLACK_BOXES
from robot_rl.data.dataset import Dataset
from robot_rl.data.edit import merge, relabel, trim
from robot_rl.data.frame_labels import Correction
from robot_rl.data.statistics import DatasetStatistics, measure
from robot_rl.data.views import Outcome
from robot_rl.tasks import load


def main(argv: list[str]) -> int:
    """Run the command."""
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        raise ConfigError(f"unknown command {argv[0]!r}: {nearest(argv[0], COMMANDS)}")
    options, run, text = COMMANDS[argv[0]]
    run(parse(options, argv[1:], f"data {argv[0]}", text[0].upper() + text[1:] + "."))
    return 0


def list_data(options: ListOptions) -> None:
    """Print the data sets below some folders."""
    found = list(dict.fromkeys(path for folder in options.paths for path in find_datasets(folder)))
    rows = [dataset_facts(path) for path in found]
    if options.json:
        print_json({"datasets": rows})
        return
    if not rows:
        print(f"no data sets in {', '.join(map(str, options.paths))}: record some with robot-rl record TASK")
        return
    header = ("data set", "task", "episodes", "success", "steps", "cameras", "size", "digest")
    print_columns("data sets", header, [dataset_line(row) for row in rows])


def show(options: ShowOptions) -> None:
    """Print the statistics of a data set, and write its contact sheet."""
    dataset = options.open()
    found = measure(dataset)
    if options.sheet is not None:
        _write_sheet(dataset, found, options.sheet, options.sheet_episodes)
    if options.json:
        facts = {"runs": [str(run) for run in options.runs], "digest": dataset.digest}
        facts |= {"sheet": str(options.sheet)} if options.sheet is not None else {}
        listed = {"list": [episode_facts(dataset, info) for info in dataset.episodes]}
        print_json(facts | found.to_json() | {"spec": dataset.spec.to_json()} | listed)
        return
    print_statistics(dataset, found, " ".join(map(str, options.runs)))
    if options.episodes:
        print_episodes(dataset)
    if options.sheet is not None:
        print(f"sheet    {options.sheet}")


def trim_data(options: TrimOptions) -> None:
    """Write a data set with shorter or fewer episodes."""
    dataset, out = options.open(), _out(options.out)
    first, last = (steps_of(text, dataset.spec.control_rate) for text in (options.first, options.last))
    drop, episodes = indices_of(options.drop), indices_of(options.episodes)
    if not (first or last or drop):
        raise ConfigError("nothing to trim: give --first, --last or --drop")
    _print_made(trim(dataset, out, first, last, episodes or None, drop), out, options.json)


def relabel_data(options: RelabelOptions) -> None:
    """Write a data set with other outcomes, or other labels of frames."""
    dataset, out = options.open(), _out(options.out)
    outcomes: dict[int, Outcome] = {index: "success" for index in indices_of(options.success)}
    failures: dict[int, Outcome] = {index: "failure" for index in indices_of(options.failure)}
    both = sorted(outcomes.keys() & failures)
    if both:
        raise ConfigError(f"episodes {both} cannot be both --success and --failure")
    frames = []
    if options.episode >= 0 or options.frames or options.stage >= -1:
        if options.episode < 0 or not options.frames or options.stage < -1:
            raise ConfigError("labels of frames need --episode N, --frames A:B and --stage K together")
        first, last = _range(options.frames)
        frames = [Correction(options.episode, first, last, options.stage)]
    if not (outcomes or failures or frames):
        raise ConfigError("nothing to relabel: give --success, --failure, or --episode, --frames and --stage")
    _print_made(relabel(dataset, out, outcomes | failures, frames), out, options.json)


def merge_data(options: MergeOptions) -> None:
    """Write several data sets as one."""
    dataset, out = options.open(), _out(options.out)
    _print_made(merge(dataset, out), out, options.json)


def export(options: ExportOptions) -> None:
    """Write a data set in another format."""
    dataset, out = options.open(), _out(options.out)
    if options.format == "lerobot":
        from robot_rl.data.lerobot_export import export_lerobot  # the optional packages of [data]

        export_lerobot(dataset, out, options.images)
    else:
        from robot_rl.data.plain import export_npz, export_parquet

        (export_parquet if options.format == "parquet" else export_npz)(dataset, out)
    _print_made(dataset, out, options.json)


def import_(options: ImportOptions) -> None:
    """Make a data set of one in another format."""
    out = _out(options.out)
    if options.source.is_dir():
        from robot_rl.data.lerobot_import import import_lerobot

        spec = load(options.task).spec if options.task else None
        dataset = import_lerobot(options.source, out, spec, mapping_of(options.map), options.successful)
    else:
        from robot_rl.data.plain import import_plain

        dataset = import_plain(options.source, out)
    _print_made(dataset, out, options.json)


COMMANDS: dict[str, tuple[type[Any], Callable[[Any], None], str]] = {
    "list": (ListOptions, list_data, "list the data sets below runs/, or below the given folders"),
    "show": (ShowOptions, show, "show what is in a data set, with a contact sheet of its pictures"),
    "trim": (TrimOptions, trim_data, "leave out the begin or end of episodes, or whole episodes"),
    "relabel": (RelabelOptions, relabel_data, "set how episodes ended, or what is reached in frames"),
    "merge": (MergeOptions, merge_data, "put several data sets of one spec into one"),
    "export": (ExportOptions, export, "write a data set in LeRobot's format, Parquet or NPZ"),
    "import": (ImportOptions, import_, "make a data set of one in LeRobot's format, Parquet or NPZ"),
}
"""Command: its options, what runs it, what it does."""


def usage() -> str:
    """The text of `robot-rl data --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}} {text}" for name, (_, _, text) in COMMANDS.items()]
    head = "usage: robot-rl data COMMAND [options]      (robot-rl data COMMAND --help says more)"
    return "\n".join([head, "", *lines, ""])


def find_datasets(folder: Path) -> list[Path]:
    """The run directories and folders of logs at and below a folder, or the log itself."""
    if not folder.exists():
        raise ConfigError(f"{folder} does not exist: give a folder that holds runs")
    if folder.is_file():
        return [folder]
    holders = sorted({log.parent for log in folder.rglob("*.mcap") if log.stat().st_size})
    # What lies below the logs of a run was taken out of them, such as demonstrations that were undone.
    held = [
        h for h in holders if h.name != BLACK_BOXES and "episodes" not in h.relative_to(folder).parts[:-1]
    ]
    return [holder.parent if holder.name == "episodes" else holder for holder in held]


def indices_of(text: str) -> tuple[int, ...]:
    """Episode indices of a text such as "1,4-6"; "" gives none."""
    indices: list[int] = []
    for part in filter(None, text.replace(" ", "").split(",")):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not (last.isdigit() and int(last) >= int(first))):
            raise ConfigError(f"{text!r} is no list of episodes: expected indices and ranges, as 1,4-6")
        indices += range(int(first), int(last or first) + 1)
    return tuple(indices)


def mapping_of(pairs: Sequence[str]) -> dict[str, str]:
    """Array to feature, of texts such as "action=action[0:4]"."""
    split = [pair.partition("=") for pair in pairs]
    for name, _, feature in split:
        if not (name and feature):
            raise ConfigError(
                f"--map {name!r}: expected ARRAY=FEATURE, as tcp.position=observation.state[0:3]"
            )
    return {name: feature for name, _, feature in split}


def steps_of(text: str, rate: float) -> int:
    """Steps of a text such as "5", or "0.5s" at `rate` steps a second."""
    seconds = text.endswith("s")
    try:
        value = float(text[:-1]) * rate if seconds else int(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no length: expected steps as 5, or seconds as 0.5s") from None
    if not 0 <= value < 1e9:
        raise ConfigError(f"{text!r} is no length: expected 0 or more steps, or seconds")
    return round(value)


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdigit() and (last or first).isdigit()):
        raise ConfigError(f"--frames {text!r}: expected A:B or A, such as 30:45")
    return int(first), int(last or first)


def _out(out: Path | None) -> Path:
    if out is None:
        raise ConfigError("where to? Give --out PATH; the source is never changed")
    return out


def _print_made(dataset: Dataset, out: Path, as_json: bool) -> None:
    steps = sum(1 for _ in dataset.all_transitions())
    if as_json:
        facts = {"out": str(out), "episodes": len(dataset), "transitions": steps, "digest": dataset.digest}
        print_json(facts)
        return
    print(f"{out}: {len(dataset)} episodes, {steps} transitions, digest {dataset.digest}")


def _write_sheet(dataset: Dataset, found: DatasetStatistics, path: Path, most: int) -> None:
    from robot_rl.data.contact_sheet import episode_captions, write_sheet

    cameras: Sequence[str] = [name for name, track in found.cameras.items() if track.frames]
    if not cameras:
        raise DatasetError("there are no pictures for a contact sheet: record with --obs pixels, or a camera")
    write_sheet(path, episode_captions(dataset, most), cameras)
