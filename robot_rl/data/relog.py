"""Episode logs out of data that came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Transition
from robot_rl.data import messages
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.columns import EpisodeRows
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, episode_path
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections
from robot_rl.data.json_messages import Intervention, encode
from robot_rl.data.mcap_scan import RawMessage
from robot_rl.data.provenance import note_history

Content = tuple[EpisodeRows, Sequence[Transition], Iterable[RawMessage]]
"""An episode, its transitions, and messages of other topics."""


def write_logs(out: Path, spec: EnvSpec, episodes: Iterable[Content], step: Mapping[str, Any]) -> None:
    """Write the log of each episode into `out`/episodes, and what was labelled by hand beside them.

    Transitions are logged at their stamps, a message each. A label by key becomes the answer of a person who
    does nothing else. Messages are in the order of their log time.

    Args:
        out: The new data set.
        spec: Of the episodes.
        episodes: What to write.
        step: What is being done, for the provenance of each log.
    """
    folder = out / "episodes"
    folder.mkdir(parents=True, exist_ok=True)
    corrections: list[Correction] = []
    for episode, transitions, others in episodes:
        done = [*episode.history, {**step, "episode": episode.episode.index}]
        _write(folder, spec, episode, transitions, others, done)
        corrections += episode.corrections
    if corrections:
        save_corrections(folder / CORRECTIONS, corrections)


def _write(
    folder: Path,
    spec: EnvSpec,
    episode: EpisodeRows,
    transitions: Sequence[Transition],
    others: Iterable[RawMessage],
    done: Sequence[Mapping[str, Any]],
) -> None:
    codec = TransitionCodec(spec)
    own = [RawMessage("intervention/event", messages.STRING, *_answer(*label)) for label in episode.labels]
    for transition in transitions:
        data = messages.byte_array(codec.encode([transition]))
        own.append(RawMessage(TRANSITIONS_TOPIC, messages.BYTES, transition.stamp, data))
    path = episode_path(folder, episode.episode.index)
    # At one stamp what was seen comes before what became of it.
    with EpisodeLog(path, spec, episode.episode) as log:
        note_history(log, done)
        for message in sorted([*others, *own], key=lambda message: message.stamp):
            log.write(message.topic, message.msgtype, message.data, message.stamp)
        log.close(episode.result)


def _answer(stamp: int, stage: int) -> tuple[int, bytes]:
    return stamp, messages.string(encode(Intervention(stamp, False, 0, "", stage)))
