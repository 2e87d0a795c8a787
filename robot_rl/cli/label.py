"""`robot-rl label RUN`: see and correct the labels that reward classifiers are trained from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from robot_rl.cli.arguments import parse
from robot_rl.cli.report import print_json, print_table
from robot_rl.core.errors import ConfigError
from robot_rl.data.contact_sheet import Caption, write_sheet
from robot_rl.data.dataset import index_text
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.frame_labels import Correction
from robot_rl.data.images import logged_cameras
from robot_rl.data.views import episodes as all_episodes
from robot_rl.perception.key_labels import (
    UNLABELLED,
    UNTOUCHED,
    LabelledEpisode,
    label_logs,
    logs_folder,
    read_corrections,
    read_episode,
    write_corrections,
)

AROUND = 2
"""Frames on either side of a change of the label that the sheet of all episodes shows."""


@dataclass(frozen=True)
class LabelOptions:
    """Options of `robot-rl label`."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory, or a folder of episode logs."""
    episode: int = -1
    """Index of the episode to correct or to show; by default all are shown."""
    frames: str = ""
    """First and last frame to correct, both included, as A:B; or one frame, as A."""
    stage: int = -2
    """Stage that is reached in these frames, 0 for none; -1 leaves them out of the training."""
    clear: bool = False
    """Forget all corrections of the episode."""
    sheet: Path | None = None
    """Contact sheet to write, a PNG; by default labels.png in RUN."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = parse(
        LabelOptions, argv, "label", "See and correct the labels that reward classifiers are trained from."
    )
    changing = options.clear or options.stage != UNTOUCHED or bool(options.frames)
    if changing:
        correct(options)
    infos = label_logs(options.run)
    if options.episode >= 0:
        infos = [info for info in infos if info.episode.index == options.episode] or [
            _episode(options.run, options.episode)
        ]
    if not infos:
        raise ConfigError(
            f"{options.run} holds no label episodes. Show another one with --episode N, or label some of "
            f"its frames with --frames A:B --stage K; there are: {_indices(options.run)}"
        )
    corrections = read_corrections(options.run)
    cameras = logged_cameras(infos[0].path)
    if not cameras:
        raise ConfigError(f"{infos[0].path} holds no pictures, so there is nothing to label")
    shown = [read_episode(info, cameras, None, corrections) for info in infos]
    sheet = options.sheet or (options.run if options.run.is_dir() else options.run.parent) / "labels.png"
    write_sheet(sheet, _captions(shown, everything=options.episode >= 0), cameras)
    if options.json:
        print_json({"run": str(options.run), "sheet": str(sheet), "episodes": [_row(e) for e in shown]})
        return 0
    print_table(
        f"labels of {options.run}",
        [(f"episode {e.index}, {len(e)} frames", _text(e)) for e in shown],
    )
    print(f"sheet    {sheet}")
    return 0


def correct(options: LabelOptions) -> None:
    """Write or clear corrections as the options say."""
    if options.episode < 0:
        raise ConfigError("which episode? Give --episode N beside --frames, --stage or --clear")
    info = _episode(options.run, options.episode)
    known = read_corrections(options.run)
    if options.clear:
        if options.frames or options.stage != UNTOUCHED:
            raise ConfigError("--clear forgets all corrections of the episode: give no --frames or --stage")
        write_corrections(options.run, [c for c in known if c.episode != options.episode])
        return
    if not options.frames or options.stage < UNLABELLED:
        raise ConfigError(
            "a correction needs --frames A:B and --stage K, where K is the stage that is reached in them, 0 "
            "for none, or -1 to leave them out"
        )
    length = len(read_episode(info, logged_cameras(info.path), None, ()))
    first, last = _range(options.frames, length)
    new = Correction(options.episode, first, last, options.stage)
    # What it covers entirely has no effect any more.
    kept = [c for c in known if c.episode != new.episode or c.first < first or c.last > last]
    write_corrections(options.run, [*kept, new])


def _range(text: str, length: int) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdigit() and (last or first).isdigit()):
        raise ConfigError(f"--frames {text!r}: expected A:B or A, such as 30:45")
    a, b = int(first), int(last or first)
    if not a <= b < length:
        raise ConfigError(f"--frames {text!r}: the episode has the frames 0:{length - 1}")
    return a, b


def _episode(run: Path, index: int) -> EpisodeInfo:
    """The episode with this index; the attempt that came to its end, if it ran more than once."""
    found = [info for info in all_episodes(logs_folder(run)) if info.episode.index == index]
    if not found:
        raise ConfigError(f"{run} has no episode {index}; there are: {_indices(run)}")
    return next((info for info in found if info.result is not None), found[-1])


def _indices(run: Path) -> str:
    return index_text(info.episode.index for info in all_episodes(logs_folder(run)))


def _spans(labels: np.ndarray) -> list[tuple[int, int, int]]:
    """First frame, last frame and label of each run of equal labels."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [(a, b - 1, int(labels[a])) for a, b in pairwise(edges) if b > a]


def _row(episode: LabelledEpisode) -> dict[str, Any]:
    by_hand = int((episode.corrected != UNTOUCHED).sum())
    return {
        "episode": episode.index,
        "frames": len(episode),
        "labels": [{"first": a, "last": b, "stage": s} for a, b, s in _spans(episode.said)],
        "corrected": by_hand,
    }


def _text(episode: LabelledEpisode) -> str:
    names = {UNLABELLED: "-", 0: "not reached"}
    parts = [f"{a}:{b} {names.get(s, f'stage {s}')}" for a, b, s in _spans(episode.said)]
    by_hand = int((episode.corrected != UNTOUCHED).sum())
    return ", ".join(parts) + (f"  ({by_hand} by hand)" if by_hand else "")


def _captions(shown: list[LabelledEpisode], everything: bool) -> list[Caption]:
    """All frames, or those around the changes of the label."""
    captions = []
    for episode in shown:
        said = episode.said
        wanted = np.full(len(said), everything)
        for change in np.flatnonzero(np.diff(said)) + 1:
            wanted[max(change - AROUND, 0) : change + AROUND] = True
        for frame in np.flatnonzero(wanted):
            label = "-" if said[frame] == UNLABELLED else str(said[frame])
            text = f"{episode.index}:{frame} label {label}"
            captions.append(Caption(episode.path, int(episode.stamps[frame]), text))
    return captions
