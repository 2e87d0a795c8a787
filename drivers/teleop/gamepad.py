"""Gamepad, by SDL's game controllers: one layout for all the pads that SDL knows.

| control                  | motion                              |
|--------------------------|-------------------------------------|
| left stick               | x away and back, y left and right   |
| triggers                 | z, the right one up, the left one down |
| right stick, to the side | turn about z, to the left or right  |
| right stick, up and down | tilt about y, away or towards her   |
| cross, left and right    | tilt about x                        |

and the buttons are those of `BUTTON_WORDS`. No window and no display is needed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

import numpy as np

# Before SDL is loaded: no greeting on the terminal, input without a window, and SIGTERM ends the process.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")

import pygame
from pygame._sdl2 import controller

from drivers.teleop.button_words import Words, check_words, spoken
from drivers.teleop.hotplug import HotPlug
from robot_rl.core.errors import DeviceError
from robot_rl.core.types import DeviceState

FULL_SCALE = 32767.0
"""Of a stick and of a trigger."""

BUTTON_WORDS: Words = {
    pygame.CONTROLLER_BUTTON_A: "toggle",
    pygame.CONTROLLER_BUTTON_B: "e_stop",
    pygame.CONTROLLER_BUTTON_X: "failure",
    pygame.CONTROLLER_BUTTON_Y: "success",
    pygame.CONTROLLER_BUTTON_LEFTSHOULDER: "dead_man",
    pygame.CONTROLLER_BUTTON_RIGHTSHOULDER: "take_over",
    pygame.CONTROLLER_BUTTON_START: "hand_back",
    pygame.CONTROLLER_BUTTON_DPAD_UP: "label",
    pygame.CONTROLLER_BUTTON_DPAD_DOWN: "not_reached",
}
"""By the places of an Xbox pad: A is below, B right, X left, Y above."""


class Gamepad:
    """An `InputDevice`.

    Several may be in use at once. One that is unplugged never gets hold of another one's sticks.

    Args:
        which: Counts the pads that are connected, from 0.
        words: What its buttons mean, by SDL's numbers.
        clock: Steady time [ns].
    """

    _taken: ClassVar[set[int]] = set()
    """SDL's instances that are open in this process."""

    def __init__(
        self,
        which: int = 0,
        words: Words = BUTTON_WORDS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = f"gamepad:{which}" if which else "gamepad"
        self.which = which
        self._clock = clock
        self._instance = -1
        self._words = check_words(words)
        self._plug = HotPlug(self.name, self._connect, self._disconnect, clock)

    def read(self) -> DeviceState:
        pad = self._plug.get()
        controller.update()
        if not pad.attached():
            raise self._plug.lose(f"{self.name} was unplugged, or is out of range: plug it in again")
        axis = pad.get_axis
        left_x, left_y = axis(pygame.CONTROLLER_AXIS_LEFTX), axis(pygame.CONTROLLER_AXIS_LEFTY)
        right_x, right_y = axis(pygame.CONTROLLER_AXIS_RIGHTX), axis(pygame.CONTROLLER_AXIS_RIGHTY)
        lift = axis(pygame.CONTROLLER_AXIS_TRIGGERRIGHT) - axis(pygame.CONTROLLER_AXIS_TRIGGERLEFT)
        roll = pad.get_button(pygame.CONTROLLER_BUTTON_DPAD_RIGHT) - pad.get_button(
            pygame.CONTROLLER_BUTTON_DPAD_LEFT
        )
        # A stick counts to the right and towards her; a tilt away from her is right-handed about her left.
        counts = np.array([-left_y, -left_x, lift, FULL_SCALE * roll, -right_y, -right_x])
        axes = np.clip(counts / FULL_SCALE, -1.0, 1.0) + 0.0
        return DeviceState(self._clock(), axes, spoken(self._words, filter(pad.get_button, self._words)))

    def close(self) -> None:
        self._plug.close()

    def _connect(self) -> controller.Controller:
        try:
            return self._find()
        except pygame.error as error:
            raise DeviceError(f"{self.name} cannot be opened: {error}") from None

    def _find(self) -> controller.Controller:
        pads = _pads()
        free = [i for i in pads if _instance(i) not in self._taken]
        # Once it was found, it is whichever is plugged in again.
        wanted = free[:1] if self._instance >= 0 else pads[self.which : self.which + 1]
        if not wanted or wanted[0] not in free:
            raise DeviceError(
                f"{self.name} is not there: {len(pads)} gamepads are connected, {len(pads) - len(free)} of "
                "them in use. Plug it in, or switch it on; its user has to be in the group input"
            )
        pad = controller.Controller(wanted[0])
        self._instance = _instance(wanted[0])
        self._taken.add(self._instance)
        return pad

    def _disconnect(self, pad: controller.Controller) -> None:
        self._taken.discard(self._instance)
        with suppress(pygame.error):
            pad.quit()


def gamepad_names() -> list[str]:
    """What the pads that are connected call themselves."""
    return [controller.name_forindex(index) or "unnamed" for index in _pads()]


def _pads() -> list[int]:
    """SDL's indices of the joysticks whose layout it knows."""
    controller.init()
    controller.update()
    return [i for i in range(controller.get_count()) if controller.is_controller(i)]


def _instance(index: int) -> int:
    """SDL's number of a joystick from when it is plugged in until it is unplugged."""
    return pygame.joystick.Joystick(index).get_instance_id()
