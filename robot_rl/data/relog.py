"""Episode logs out of data that came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Transition
from robot_rl.data import messages
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.columns import EpisodeRows
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, episode_path
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections
from robot_rl.data.json_messages import Intervention, encode
from robot_rl.data.mcap_scan import RawMessage

Content = tuple[EpisodeRows, Sequence[Transition], Iterable[RawMessage]]
"""An episode, its transitions, and messages of other topics."""


def write_logs(folder: Path, spec: EnvSpec, episodes: Iterable[Content]) -> None:
    """Write the log of each episode into a folder, and beside them what was labelled by hand.

    Transitions are logged at their stamps, a message each. A label by key becomes the answer of a person who
    does nothing else. Messages are in the order of their log time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    corrections: list[Correction] = []
    for episode, transitions, others in episodes:
        _write(folder, spec, episode, transitions, others)
        corrections += episode.corrections
    if corrections:
        save_corrections(folder / CORRECTIONS, corrections)


def _write(
    folder: Path,
    spec: EnvSpec,
    episode: EpisodeRows,
    transitions: Sequence[Transition],
    others: Iterable[RawMessage],
) -> None:
    codec = TransitionCodec(spec)
    own = [RawMessage("intervention/event", messages.STRING, *_answer(*label)) for label in episode.labels]
    for transition in transitions:
        data = messages.byte_array(codec.encode([transition]))
        own.append(RawMessage(TRANSITIONS_TOPIC, messages.BYTES, transition.stamp, data))
    path = episode_path(folder, episode.episode.index)
    # At one stamp what was seen comes before what became of it.
    with EpisodeLog(path, spec, episode.episode) as log:
        for message in sorted([*others, *own], key=lambda message: message.stamp):
            log.write(message.topic, message.msgtype, message.data, message.stamp)
        log.close(episode.result)


def _answer(stamp: int, stage: int) -> tuple[int, bytes]:
    return stamp, messages.string(encode(Intervention(stamp, False, 0, "", stage)))
