"""The small structured messages of the graph: JSON in `std_msgs/String`.

They have no standard ROS message. Each is a frozen dataclass; `encode` and `decode` turn it into text and
back, and decoding is strict: a missing or unknown key, a wrong type or another version is a `CodecError` that
says so. Bulk data does not come this way (see `robot_rl.data.codec`).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from robot_rl.core.errors import CodecError, nearest
from robot_rl.core.types import Episode, Mode

T = TypeVar("T")

EMERGENCY_STOP = "emergency stop"
"""A fault whose reason begins with this was asked for: a person has to clear it, also in simulation."""

VERSION = 1
"""Version of the messages of this module, sent as the key `v`."""


@dataclass(frozen=True)
class Tick:
    """All inputs of one instant have been published: what to wait for before acting on it.

    Topics are not ordered against each other, so each carries stamps and this message names them.
    """

    stamp: int
    """Time of the state [ns]."""
    answers: int
    """Stamp of the command whose execution led here [ns]; -1 after a reset."""
    request: str
    """The reset request that the present episode began with, "" before the first."""
    index: int
    """`Episode.index` of that request."""
    seed: int
    """`Episode.seed` of that request."""
    mode: str
    """`Episode.mode` of that request."""
    inputs: dict[str, int]
    """Topic to the stamp [ns] of its newest message; a tracker's are older than the tick."""

    @property
    def episode(self) -> Episode:
        return Episode(self.index, self.seed, mode(self.mode))


@dataclass(frozen=True)
class SafetyState:
    """What the safety supervisor says about the arm."""

    stamp: int
    """Time of the state [ns]."""
    fault: str
    """Reason of the latched fault, "" when there is none."""


@dataclass(frozen=True)
class Intervention:
    """Who is in control at a tick; the wanted motion comes on `intervention/twist` with the same stamp."""

    stamp: int
    """Stamp of the state that the person saw [ns]."""
    active: bool
    """True: the person acts. False: the policy does."""
    gripper: int
    """-1 close, +1 open, 0 leave as it is."""
    outcome: str
    """"success" or "failure" when the person ends the episode, else ""."""


@dataclass(frozen=True)
class EpisodeRequest:
    """Asks the robot to bring arm and scene to the start of an episode."""

    request: str
    """Identity of this request; sending it again does not reset again."""
    index: int
    seed: int
    mode: str

    @property
    def episode(self) -> Episode:
        return Episode(self.index, self.seed, mode(self.mode))


@dataclass(frozen=True)
class EpisodeEvent:
    """An episode began or ended; the recorder makes its files from these."""

    stamp: int
    """Time of the first or of the last state [ns]."""
    event: str
    """"begin", "end", or "abort" when the episode was given up."""
    index: int
    seed: int
    mode: str
    result: dict[str, float] = field(default_factory=dict)
    """At the end: success, steps, reward, interventions, human_steps, policy_version."""
    reason: str = ""
    """Why an episode was given up."""


@dataclass(frozen=True)
class SessionState:
    """Where the actor is, and what it works with. Latched; a learner answers it with a `LearnerState`."""

    actor: str
    run: int
    """Counts the starts of this actor."""
    spec: str
    """Digest of the environment's spec."""
    phase: str
    """A phase of `Session`, or "starting", "held" or "done"."""
    steps: int
    """Practice so far [environment steps]."""
    reason: str = ""
    """Why the session stands still, "" when it does not."""


@dataclass(frozen=True)
class LearnerState:
    """What the learner holds. Latched; the answer to a new run of an actor."""

    actor: str
    run: int
    """The newest run of that actor that the learner has heard of; older ones are closed."""
    spec: str
    """Digest of the spec that it learns for."""
    version: int
    """Newest version of the weights."""
    transitions: int
    """All transitions that it has, or will have, learned from."""
    practice_steps: int
    """Those that were not demonstrations [environment steps]."""
    saved: int
    """Version of the weights in the last checkpoint and policy bundle, 0 before the first."""


def mode(name: str) -> Mode:
    """The mode called `name`, or `CodecError`."""
    try:
        return Mode(name)
    except ValueError:
        raise CodecError(f"mode {name!r}: {nearest(name, (m.value for m in Mode))}") from None


def encode(message: Any) -> str:
    """JSON text of a message of this module."""
    return json.dumps({"v": VERSION} | {n: getattr(message, n) for n in _fields(type(message))})


def decode(cls: type[T], text: str) -> T:
    """Inverse of `encode`; `CodecError` says what is wrong with the text."""
    what = cls.__name__
    try:
        data = json.loads(text)
    except ValueError as error:
        raise CodecError(f"{what} message is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise CodecError(f"{what} message: expected an object, got {type(data).__name__}")
    version = data.pop("v", None)
    if version != VERSION:
        raise CodecError(f"{what} message has version {version}, expected {VERSION}: update the older side")
    fields = _fields(cls)
    for name, value in data.items():
        if name not in fields:
            raise CodecError(f"{what} message: unknown key {name!r}, {nearest(name, fields)}")
        kind, items = fields[name]
        fits = type(value) is kind or (kind is float and type(value) is int)
        if fits and isinstance(value, dict):
            fits = all(type(item) in items for item in value.values())
        if not fits:
            raise CodecError(f"{what} message: {name} is {value!r}, expected {kind.__name__}")
    try:
        return cls(**data)
    except TypeError as error:
        raise CodecError(f"{what} message: {error}") from None


@functools.cache
def _fields(cls: type) -> dict[str, tuple[type, tuple[type, ...]]]:
    """Name to its type and, for a dict, the types of its values; resolved once, since it is slow."""
    rows: dict[str, tuple[type, tuple[type, ...]]] = {}
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        hint = hints[item.name]
        if typing.get_origin(hint) is dict:
            value = typing.get_args(hint)[1]
            rows[item.name] = (dict, (int, float) if value is float else (value,))
        else:
            rows[item.name] = (hint, ())
    return rows
