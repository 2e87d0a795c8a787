"""From the buttons of a device to words that mean something, those of `robot_rl.core.types.BUTTONS`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robot_rl.core.errors import ConfigError, nearest
from robot_rl.core.types import BUTTONS

Words = Mapping[int, str]
"""Number of a button to its word. Buttons that are not in it mean nothing."""

TWO_BUTTONS: Words = {0: "toggle", 1: "take_over"}
"""Left: the gripper. Right: keep control though the hand rests, and give it back at the next press."""


def check_words(words: Words, dead_man: bool = False) -> Words:
    """The same words, once they are known to mean something.

    With `dead_man`, where none of them is the dead man's switch, button 1 becomes it.
    """
    for button, word in words.items():
        if word not in BUTTONS:
            raise ConfigError(f"button {button}: {word!r} means nothing: {nearest(word, BUTTONS)}")
    if dead_man and "dead_man" not in words.values():
        return {**words, 1: "dead_man"}
    return words


def spoken(words: Words, held: Iterable[int]) -> frozenset[str]:
    """The words of the buttons that are held down."""
    return frozenset(words[button] for button in held if button in words)
