"""The results of a session's episodes, one JSON object a line: what a restarted actor goes on from.

A `Session` is a pure state machine, so giving it the results again brings it back to where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from robot_rl.core.errors import LogError
from robot_rl.core.types import Episode, EpisodeResult, Mode


def append_result(path: Path, phase: str, result: EpisodeResult) -> None:
    """Add the result of an episode, in the phase of the session that asked for it."""
    row = {f.name: getattr(result, f.name) for f in fields(result) if f.name != "episode"}
    episode = result.episode
    head = {"phase": phase, "index": episode.index, "seed": episode.seed, "mode": episode.mode.value}
    with path.open("a") as file:
        file.write(json.dumps(head | row) + "\n")


def read_results(path: Path) -> Iterator[EpisodeResult]:
    """The results in order, nothing when there is no file; a last line that a crash cut off is left out."""
    lines = path.read_text().split("\n") if path.exists() else [""]
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
            del row["phase"]
            episode = Episode(row.pop("index"), row.pop("seed"), Mode(row.pop("mode")))
            yield EpisodeResult(episode=episode, **row)
        except (ValueError, KeyError, TypeError) as error:
            raise LogError(f"{path}, line {number} is not an episode's result: {error}") from None


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a crash left without its end, so that the next one starts cleanly."""
    if not path.exists():
        return
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end != len(data):
        with path.open("r+b") as file:
            file.truncate(end)
