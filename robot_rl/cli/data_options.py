"""Options of the commands of `robot-rl data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_rl.core.errors import DatasetError
from robot_rl.core.types import Mode
from robot_rl.data.dataset import Dataset
from robot_rl.data.lerobot_format import Images
from robot_rl.data.views import Outcome

ModeName = Literal["demo", "train", "eval", "label"]


@dataclass(frozen=True)
class ListOptions:
    """Options of `robot-rl data list`."""

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("runs"),)
    """Run directories, folders of logs, or folders that hold such."""
    json: bool = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True)
class Selection:
    """Which episodes a command takes; a new data set has no others."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run directories, folders of logs, or logs."""
    modes: tuple[ModeName, ...] = ()
    """Take only episodes of these modes; all by default."""
    outcome: Outcome | None = None
    """Take only episodes that ended like this."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def open(self) -> Dataset:
        """The data set; `DatasetError` when nothing is left of it."""
        modes = [Mode(name) for name in self.modes] or list(Mode)
        dataset = Dataset.open(*self.runs, modes=modes, outcome=self.outcome)
        if not dataset.episodes:
            raise DatasetError("no episode is of these modes and ended like this: see robot-rl data show RUN")
        return dataset


@dataclass(frozen=True)
class ShowOptions(Selection):
    """Options of `robot-rl data show`."""

    episodes: bool = False
    """List every episode."""
    sheet: Path | None = None
    """Contact sheet to write, a PNG: first, middle and last picture of each episode."""
    sheet_episodes: int = 60
    """Most episodes on the sheet; of more, some in equal steps."""


@dataclass(frozen=True)
class TrimOptions(Selection):
    """Options of `robot-rl data trim`."""

    out: Path | None = None
    """The new data set."""
    first: str = "0"
    """What to leave out at the begin: steps as 5, or seconds as 0.5s."""
    last: str = "0"
    """What to leave out at the end, likewise; an episode whose end is cut off counts as a failure."""
    episodes: str = ""
    """Episodes to trim, as 1,4-6; all by default. The others are copied."""
    drop: str = ""
    """Episodes to leave out, as 3,8-10."""


@dataclass(frozen=True)
class RelabelOptions(Selection):
    """Options of `robot-rl data relabel`."""

    out: Path | None = None
    """The new data set."""
    success: str = ""
    """Episodes that succeeded, as 1,4-6."""
    failure: str = ""
    """Episodes that failed, likewise."""
    episode: int = -1
    """Episode whose frames to label."""
    frames: str = ""
    """First and last frame, both included, as A:B; or one frame, as A."""
    stage: int = -2
    """Stage that is reached in these frames, 0 for none; -1 leaves them out of the training."""


@dataclass(frozen=True)
class MergeOptions(Selection):
    """Options of `robot-rl data merge`."""

    out: Path | None = None
    """The new data set."""


@dataclass(frozen=True)
class ExportOptions(Selection):
    """Options of `robot-rl data export`."""

    out: Path | None = None
    """Folder to write for LeRobot, file for Parquet and NPZ."""
    format: Literal["lerobot", "parquet", "npz"] = "lerobot"
    """LeRobot's data set format v3, or one file with the transitions alone."""
    images: Images = "video"
    """For LeRobot, the pictures: as videos, which lose a little; as lossless videos or PNG files; or none."""


@dataclass(frozen=True)
class ImportOptions:
    """Options of `robot-rl data import`."""

    source: Annotated[Path, tyro.conf.Positional]
    """A LeRobot data set (a folder), or a file that `robot-rl data export` wrote (.parquet, .npz)."""
    out: Path | None = None
    """The new data set."""
    task: str = ""
    """The task that it is for, such as franka_pick_cube; needed for other people's data sets."""
    map: tuple[str, ...] = ()
    """For other people's data sets, what the task calls an array and what they do, where the names differ: as
    tcp.position=observation.state[0:3]."""
    successful: bool = False
    """For other people's data sets that do not say: every episode succeeded."""
    json: bool = False
    """Print one JSON object instead of a table."""
