"""Small structured messages as JSON in `std_msgs/String`, for what has no standard ROS message.

Each is a frozen dataclass; `encode` and `decode` turn it into text and back. Decoding is strict: a missing or
unknown key, a wrong type or another version is a `CodecError` that says so. Those that are logged without ROS
too are defined here, the others in `robot_rl.nodes.messages`. Bulk data does not come this way (see
`robot_rl.data.codec`).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from dataclasses import dataclass
from typing import Any, TypeVar

from robot_rl.core.errors import CodecError, nearest

T = TypeVar("T")

VERSION = 1
"""Version of the JSON messages, sent as the key `v`."""


POLICY = "policy"
"""`ControlChange.who` where no person is in control."""


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
    label: int = -1
    """The stage that she says is reached, by the key that she holds down; -1 when she labels nothing."""
    who: str = ""
    """The device in her hand, "script" for a scripted person, "" when nobody acts."""
    lost: bool = False
    """That device is gone: the arm holds still until it is back."""
    request: str = ""
    """The reset request of the episode that she saw, from an operator on the real clock."""


@dataclass(frozen=True)
class ControlChange:
    """The moment at which control went from one to another."""

    stamp: int
    """Time of the change [ns]."""
    who: str
    """Who is in control from now on: a device, "script", or "policy"."""
    previous: str
    """Who was until now."""
    reason: str = ""
    """Why: "motion" or "button"; "still" for a hand at rest; "dead man" for its switch let go; "lost" when
    the device in control is gone, and "back" when it is there again, which leave it in control; "episode"
    where the mode of an episode decides."""


def encode(message: Any) -> str:
    """JSON text of a message."""
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
