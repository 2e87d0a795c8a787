"""What a page may say to the server: small JSON objects, decoded strictly.

A page is software on somebody's machine, so nothing that it says is taken on trust: sizes, types, names and
ranges are checked, and what is wrong ends in a `CodecError` that goes back to that page. Numbers that are not
finite never get further than here.

    {"type": "hands", "axes": [x, y, z, rx, ry, rz], "buttons": ["close"]}
    {"type": "control", "take": true}
    {"type": "command", "name": "start"}
    {"type": "e_stop"}
    {"type": "clear_fault"}
    {"type": "watch", "cameras": true}
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from robot_rl.core.errors import CodecError, nearest
from robot_rl.core.types import BUTTONS

MAX_BYTES = 2048
"""Longest message of a page, in UTF-8 [bytes]."""

AXES = 6
"""x, y, z, rx, ry, rz, as in `DeviceState`."""


@dataclass(frozen=True)
class Hands:
    """What the operator holds down, on keys and buttons; sent at every change, and again all the time."""

    axes: tuple[float, ...]
    """(6,) in [-1, 1], as in `DeviceState`."""
    buttons: frozenset[str]
    """Those of `BUTTONS` that are held down."""


@dataclass(frozen=True)
class Control:
    """Asks to be the one page that controls, or gives that back."""

    take: bool


@dataclass(frozen=True)
class Command:
    """Tells the session what to do."""

    name: str


@dataclass(frozen=True)
class EStop:
    """Stops the robot."""


@dataclass(frozen=True)
class ClearFault:
    """Gives control back after a fault."""


@dataclass(frozen=True)
class Watch:
    """Whether somebody looks at this page, and so whether it is sent pictures and figures."""

    cameras: bool


PageMessage = Hands | Control | Command | EStop | ClearFault | Watch

KEYS: dict[str, tuple[str, ...]] = {
    "hands": ("axes", "buttons"),
    "control": ("take",),
    "command": ("name",),
    "e_stop": (),
    "clear_fault": (),
    "watch": ("cameras",),
}
"""Type of message to its other keys."""


def decode(text: str, commands: Collection[str]) -> PageMessage:
    """The message of a page.

    Args:
        text: As it came.
        commands: Valid names of a command.

    Raises:
        CodecError: It is none; says what would be.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise CodecError(f"the page sent a message of more than {MAX_BYTES} bytes")
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"the page sent what is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise CodecError(f"the page sent {type(data).__name__}, expected an object")
    kind = data.pop("type", None)
    if not isinstance(kind, str) or kind not in KEYS:
        raise CodecError(f"the page sent a message of type {kind!r}: {nearest(str(kind), KEYS)}")
    _check_keys(kind, data)
    match kind:
        case "hands":
            return Hands(_axes(data["axes"]), _buttons(data["buttons"]))
        case "control":
            return Control(_flag(data["take"], "control.take"))
        case "command":
            return Command(_one_of(data["name"], commands, "command"))
        case "e_stop":
            return EStop()
        case "clear_fault":
            return ClearFault()
        case _:
            return Watch(_flag(data["cameras"], "watch.cameras"))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that a page may send")


def _check_keys(kind: str, data: dict[str, Any]) -> None:
    keys = KEYS[kind]
    for key in data:
        if key not in keys:
            raise CodecError(f"{kind} message of the page: unknown key {key!r}, {nearest(key, keys)}")
    for key in keys:
        if key not in data:
            raise CodecError(f"{kind} message of the page: {key!r} is missing")


def _axes(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != AXES:
        raise CodecError(f"hands.axes of the page: expected {AXES} numbers")
    for number in value:
        # A bool is an int to Python, 1e999 is infinite to its JSON, and NaN fails every comparison.
        if type(number) not in (int, float) or not -1.0 <= number <= 1.0:
            raise CodecError(f"hands.axes of the page: {number!r} is no number in [-1, 1]")
    return tuple(map(float, value))


def _buttons(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise CodecError("hands.buttons of the page: expected a list of names")
    return frozenset(_one_of(name, BUTTONS, "button") for name in value)


def _one_of(value: Any, valid: Collection[str], what: str) -> str:
    if not isinstance(value, str) or value not in valid:
        raise CodecError(f"{what} {value!r} of the page: {nearest(str(value), valid)}")
    return value


def _flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise CodecError(f"{what} of the page is {value!r}, expected true or false")
    return value
