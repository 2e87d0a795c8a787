"""Where the episodes of a data set come from, as each of its logs says it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_rl.data.episode_log import EpisodeLog, read_metadata

PROVENANCE = "robot_rl.provenance"
"""Metadata record of a log that was made of another: what was done, oldest first, as JSON in `history`."""


def history(path: Path) -> list[dict[str, Any]]:
    """What was done to make this log, oldest first; [] for one that was recorded.

    Each step has `operation`, its `arguments`, as `source` the digest of the data set that it was done to,
    and the index that the `episode` had there.
    """
    record = read_metadata(path, tolerant=True).get(PROVENANCE)
    return json.loads(record["history"]) if record else []


def note_history(log: EpisodeLog, done: Sequence[Mapping[str, Any]]) -> None:
    """Write down what was done to make this log."""
    log.note(PROVENANCE, {"history": json.dumps(done)})
