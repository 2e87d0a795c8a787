"""New data sets out of old ones: trimmed, relabelled, merged. No log is ever changed in place.

Every message of an episode goes into its new log byte for byte, except for the transitions that are changed.
In the new logs each transition lies once, in the log of its own episode. The metadata record
`robot_rl.provenance` of each says what was done to which data set (see `robot_rl.data.provenance`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DatasetError
from robot_rl.core.types import Episode, EpisodeResult, Key, Mode, Source, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.columns import made_whole
from robot_rl.data.dataset import Dataset
from robot_rl.data.episode_log import (
    TRANSITIONS_TOPIC,
    EpisodeInfo,
    EpisodeLog,
    episode_path,
    read_info,
    read_metadata,
    read_raw,
)
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections, ticks
from robot_rl.data.images import logged_cameras
from robot_rl.data.mcap_scan import RawMessage
from robot_rl.data.messages import BYTES, IMAGE, byte_array
from robot_rl.data.provenance import PROVENANCE, history, note_history
from robot_rl.data.views import Outcome, carries_transitions, decode_transitions

Window = tuple[int, int]
"""First and last stamp that are kept [ns]."""

_BEGIN, _END = 0, 2**63 - 1
"""The window that leaves nothing out."""


@dataclass(frozen=True)
class Edited:
    """How an episode is written anew."""

    source: EpisodeInfo
    episode: Episode
    result: EpisodeResult | None
    transitions: dict[Key, Transition]
    """Key in the source to the transition to write; those that are not named are left out."""
    corrections: tuple[Correction, ...]
    """Frames labelled by hand, counted as in the source."""
    window: Window | None = None
    """None: all."""


def trim(
    dataset: Dataset,
    out: Path,
    first: int = 0,
    last: int = 0,
    episodes: Collection[int] | None = None,
    drop: Collection[int] = (),
) -> Dataset:
    """Leave out steps at the ends of episodes, and whole episodes.

    Steps are counted from 0 again. An episode whose end is cut off is truncated there, and has not shown
    success: `relabel` it if it had. Just before the first step that is kept, the newest message of each topic
    stays, and the pictures of one control period, since the first observation was made from them.

    Args:
        dataset: Where the episodes come from.
        out: The new data set; must not exist, or be empty.
        first: Steps to leave out at the begin [control periods].
        last: Steps to leave out at the end [control periods].
        episodes: Indices of the episodes to trim; None: all. Of one that ran again, the attempt that counts.
        drop: Indices of the episodes to leave out.

    Raises:
        DatasetError: An episode does not exist or is too short, or all would be left out; or two runs number
            their episodes alike.
    """
    dataset.check_numbering()
    if first < 0 or last < 0:
        raise DatasetError(f"steps to leave out: {first} and {last}, expected 0 or more")
    for index in (*drop, *(episodes or ())):
        dataset.find(index)
    kept = [info for info in dataset.episodes if info.episode.index not in drop]
    if not kept:
        raise DatasetError("that would leave out every episode")
    chosen = {info.episode.index for info in kept} if episodes is None else set(episodes)
    # An episode at a time: the transitions of a long run may not fit into the memory.
    edits = (
        _trimmed(dataset, info, first, last)
        if (first or last) and info.episode.index in chosen and dataset.counts(info)
        else _same(dataset, info)
        for info in kept
    )
    arguments = {"first": first, "last": last, "drop": sorted(drop)}
    return _write(dataset, edits, out, "trim", arguments | {"episodes": episodes and sorted(episodes)})


def relabel(
    dataset: Dataset,
    out: Path,
    outcomes: Mapping[int, Outcome] | None = None,
    frames: Sequence[Correction] = (),
) -> Dataset:
    """Set how episodes ended, and what is to be seen in frames of them.

    The last transition gets what the environment gives for a person's verdict: a success has reward 1 and is
    terminated, a failure has reward 0 and is truncated. Labels of frames go into the file of corrections of
    the new logs, which outranks the keys.

    Args:
        dataset: Where the episodes come from.
        out: The new data set; must not exist, or be empty.
        outcomes: Index of an episode to how it ended.
        frames: Ranges of frames and the stage that is reached in them.

    Raises:
        DatasetError: An episode or a frame does not exist, or an episode has no steps to teach; or two runs
            number their episodes alike.
    """
    dataset.check_numbering()
    verdicts: dict[Path, Outcome] = {}
    for index, outcome in (outcomes or {}).items():
        verdicts[dataset.find(index).path] = outcome
    added: dict[Path, list[Correction]] = {}
    for correction in frames:
        info = dataset.find(correction.episode)
        _check_frames(info, correction)
        added.setdefault(info.path, []).append(correction)
    edits = (
        _relabelled(_same(dataset, info), verdicts.get(info.path), added.get(info.path, ()))
        for info in dataset.episodes
    )
    arguments = {
        "outcomes": {str(index): outcome for index, outcome in (outcomes or {}).items()},
        "frames": [[c.episode, c.first, c.last, c.stage] for c in frames],
    }
    return _write(dataset, edits, out, "relabel", arguments)


def merge(dataset: Dataset, out: Path) -> Dataset:
    """Put the episodes of several runs, opened as one data set, into one folder and number them anew.

    A run of an actor whose number an earlier folder has taken gets the next free one, so that keys stay
    unique. Messages other than transitions keep the number that their episode had.

    Raises:
        DatasetError: The same episode is in two of the folders.
    """
    return _write(dataset, _merged(dataset), out, "merge", {})


def _same(dataset: Dataset, info: EpisodeInfo) -> Edited:
    transitions = {transition.key: transition for transition in dataset.transitions(info)}
    return Edited(info, info.episode, info.result, transitions, dataset.corrections(info))


def _merged(dataset: Dataset) -> Iterator[Edited]:
    seen: dict[str, EpisodeInfo] = {}
    taken: set[tuple[str, int]] = set()
    renumbered: dict[tuple[Path, str, int], int] = {}
    for index, info in enumerate(dataset.episodes):
        edited = _same(dataset, info)
        if edited.transitions:
            twin = seen.setdefault(dataset.episode_digest(info), info)
            if twin is not info:
                raise DatasetError(f"{info.path} holds the same episode as {twin.path}: leave one out")
        moved = {}
        for key, transition in edited.transitions.items():
            place = (info.path.parent, key.actor, key.run)
            if place not in renumbered:
                run = key.run
                if (key.actor, run) in taken:
                    run = 1 + max(number for actor, number in taken if actor == key.actor)
                taken.add((key.actor, run))
                renumbered[place] = run
            moved[key] = replace(transition, key=key._replace(run=renumbered[place]), episode=index)
        episode = replace(info.episode, index=index)
        result = replace(info.result, episode=episode) if info.result is not None else None
        corrections = tuple(replace(c, episode=index) for c in edited.corrections)
        yield replace(edited, episode=episode, result=result, transitions=moved, corrections=corrections)


def _trimmed(dataset: Dataset, info: EpisodeInfo, first: int, last: int) -> Edited:
    edited = _same(dataset, info)
    rows = list(edited.transitions.values())
    # An episode that taught nothing has no transitions: its steps are those of the clock.
    begin, end, length = _span(info) if not rows else (0, 0, len(rows))
    if first + last >= length:
        raise DatasetError(
            f"episode {info.episode.index} has {length} steps, so {first} at its begin and {last} at its end "
            "cannot be left out: leave out fewer, or drop it"
        )
    steps, period = length - first - last, _period(info)
    if not rows:
        window = (begin + first * period, end - last * period)
        return replace(edited, window=window, result=_shortened(info, [], steps, last))
    kept = rows[first : first + steps]
    if last:
        kept[-1] = replace(kept[-1], truncated=not kept[-1].terminated)
    # The first observation that is kept is the state at the end of the step before it.
    window = (rows[first - 1].stamp if first else _BEGIN, kept[-1].stamp if last else _END)
    transitions = {row.key: replace(row, step=step) for step, row in enumerate(kept)}
    result = _shortened(info, list(transitions.values()), steps, last)
    return replace(edited, transitions=transitions, window=window, result=result)


def _shortened(info: EpisodeInfo, rows: Sequence[Transition], steps: int, last: int) -> EpisodeResult | None:
    """The result of an episode of which `steps` are left, after `last` were cut off at its end."""
    if info.result is None:
        return None
    result = replace(info.result, steps=steps, human_steps=min(info.result.human_steps, steps))
    if rows:
        result = _counted(result, rows)
    if last and info.episode.mode is not Mode.LABEL:
        result = replace(result, success=False, claimed=False, fault="")
    return result


def _counted(result: EpisodeResult, rows: Sequence[Transition]) -> EpisodeResult:
    """The result with the figures of these transitions, as `robot_rl.env.runner` counts them."""
    human = [row.source is Source.HUMAN for row in rows]
    return replace(
        result,
        steps=len(rows),
        reward=sum(row.reward - row.penalty for row in rows),
        interventions=sum(now and not before for before, now in pairwise([False, *human])),
        human_steps=sum(row.source is not Source.POLICY for row in rows),
        policy_version=rows[-1].policy_version,
    )


def _relabelled(edited: Edited, outcome: Outcome | None, added: Sequence[Correction]) -> Edited:
    judged = _judged(edited, outcome) if outcome is not None else edited
    return replace(judged, corrections=(*edited.corrections, *added))


def _judged(edited: Edited, outcome: Outcome) -> Edited:
    """The episode with the person's verdict in its last transition and in its result."""
    success, rows, mode = outcome == "success", dict(edited.transitions), edited.episode.mode
    if not rows and (edited.result is None or (success and mode in (Mode.DEMO, Mode.TRAIN))):
        raise DatasetError(
            f"episode {edited.episode.index} cannot become a {outcome}: its log has no transitions, as that "
            "of a demonstration which failed or was given up, so there is nothing to learn from it"
        )
    result = edited.result or EpisodeResult(edited.episode, len(rows), success, 0.0, 0, 0, 0)
    if rows:
        last = next(reversed(rows))
        reward = 1.0 if success else 0.0
        rows[last] = replace(rows[last], reward=reward, terminated=success, truncated=not success)
        result = _counted(result, list(rows.values()))
    return replace(edited, transitions=rows, result=replace(result, success=success, claimed=success))


def _span(info: EpisodeInfo) -> tuple[int, int, int]:
    """First and last stamp of what was logged, pictures aside [ns], and the steps between."""
    stamps = [message.stamp for message in read_raw(info.path, tolerant=True) if message.msgtype != IMAGE]
    if not stamps:
        return 0, 0, 0
    begin, end = min(stamps), max(stamps)
    return begin, end, round((end - begin) / _period(info))


def _period(info: EpisodeInfo) -> int:
    return nanoseconds(1.0 / info.spec.control_rate)


def _check_frames(info: EpisodeInfo, correction: Correction) -> None:
    index = info.episode.index
    frames = sum(1 for _ in ticks(info, logged_cameras(info.path)))
    if not frames:
        raise DatasetError(f"episode {index} ({info.path}) has no pictures, so there are no frames to label")
    if not 0 <= correction.first <= correction.last < frames:
        raise DatasetError(
            f"episode {index} has the frames 0:{frames - 1}, not {correction.first}:{correction.last}"
        )
    if correction.stage < -1:
        raise DatasetError(
            f"stage {correction.stage} is not valid: the stage that is reached, 0 for none, or -1 to leave "
            "the frames out"
        )


def _write(
    dataset: Dataset, edits: Iterable[Edited], out: Path, operation: str, arguments: dict[str, Any]
) -> Dataset:
    """Write the episodes to a new folder, which is there when all of it is."""
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    step = {"operation": operation, "arguments": arguments, "source": dataset.digest}
    with made_whole(out) as partial:
        folder = partial / "episodes"
        corrections: list[Correction] = []
        for edited in edits:
            path = episode_path(folder, edited.episode.index)
            done = [*history(edited.source.path), step | {"episode": edited.source.episode.index}]
            _write_episode(edited, path, done)
            corrections += _moved(edited, path)
        if corrections:
            save_corrections(folder / CORRECTIONS, corrections)
        _copy_settings(dataset, partial)
    return Dataset.open(out)


def _write_episode(edited: Edited, path: Path, done: Sequence[Mapping[str, Any]]) -> None:
    info = edited.source
    codec, left = TransitionCodec(info.spec), dict(edited.transitions)
    with EpisodeLog(path, info.spec, edited.episode) as log:
        for name, values in read_metadata(info.path, tolerant=True).items():
            if name != PROVENANCE:
                log.note(name, values)
        note_history(log, done)
        stamp = 0
        for message in _messages(info, edited.window):
            stamp, data = message.stamp, message.data
            if carries_transitions(message.topic):
                old = decode_transitions(info, codec, message)
                new = [left.pop(transition.key) for transition in old if transition.key in left]
                if not new:
                    continue
                records = [codec.record(transition) for transition in new]
                if records != [codec.record(transition) for transition in old]:
                    data = byte_array(codec.message(records))
            log.write(message.topic, message.msgtype, data, stamp)
        if left:  # they came late, and lie in the log of another episode
            log.write(TRANSITIONS_TOPIC, BYTES, byte_array(codec.encode(list(left.values()))), stamp)
        log.close(edited.result)


def _messages(info: EpisodeInfo, window: Window | None) -> Iterator[RawMessage]:
    """The messages within the window, all transitions, and what was newest on each topic at its begin."""
    begin, end = window or (_BEGIN, _END)
    newest: dict[str, int] = {}
    if begin > _BEGIN:
        for i, message in enumerate(read_raw(info.path, tolerant=True)):
            if message.stamp <= begin:
                newest[message.topic] = i
    older = set(newest.values())
    for i, message in enumerate(read_raw(info.path, tolerant=True)):
        since = begin - _period(info) if message.msgtype == IMAGE else begin
        if since <= message.stamp <= end or i in older or carries_transitions(message.topic):
            yield message


def _moved(edited: Edited, path: Path) -> list[Correction]:
    """The corrections with the numbers that their frames have in the new log."""
    if edited.window is None or not edited.corrections:
        return list(edited.corrections)
    cameras = logged_cameras(edited.source.path)
    before = [tick.stamp for tick in ticks(edited.source, cameras)]
    after = {tick.stamp: i for i, tick in enumerate(ticks(read_info(path), cameras))}
    moved = []
    for correction in edited.corrections:
        kept = [after[s] for s in before[correction.first : correction.last + 1] if s in after]
        if kept:
            moved.append(replace(correction, first=kept[0], last=kept[-1]))
    return moved


def _copy_settings(dataset: Dataset, out: Path) -> None:
    """Keep the configuration of the run, where all episodes come from runs with the same one."""
    files = dict.fromkeys(info.path.parent.parent / "config.yaml" for info in dataset.episodes)
    texts = {file.read_bytes() if file.is_file() else None for file in files}
    text = texts.pop()
    if text is not None and not texts:
        (out / "config.yaml").write_bytes(text)
