"""A gamepad that exists only in SDL, in the process that reads it.

SDL offers virtual joysticks in its C interface. They go through the same code as real ones, from the list of
connected devices to the layout of a game controller. `pygame` brings SDL along; here its functions are called
in the very library that pygame has loaded, so Linux only.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

from pygame._sdl2 import controller

GAME_CONTROLLER = 1
"""SDL_JOYSTICK_TYPE_GAMECONTROLLER."""
AXES, BUTTONS = 6, 15
"""Left x, y, right x, y, the two triggers; and SDL's game controller buttons in SDL's order."""
TRIGGERS = (4, 5)
LOWEST, HIGHEST = -32768, 32767


class VirtualGamepad:
    """Plugged in when it is made."""

    def __init__(self) -> None:
        controller.init()
        self._sdl = _loaded_sdl()
        index = self._sdl.SDL_JoystickAttachVirtual(GAME_CONTROLLER, AXES, BUTTONS, 0)
        if index < 0:
            raise RuntimeError(f"SDL: {self._sdl.SDL_GetError().decode()}")
        self._joystick = self._sdl.SDL_JoystickOpen(index)
        self._instance = self._sdl.SDL_JoystickInstanceID(self._joystick)
        for trigger in TRIGGERS:
            self.set_axis(trigger, LOWEST)
        controller.update()

    def set_axis(self, axis: int, value: int) -> None:
        """Move a stick or a trigger: `value` from -32768 (left, up, released) to 32767."""
        self._sdl.SDL_JoystickSetVirtualAxis(self._joystick, axis, value)

    def set_button(self, button: int, down: bool) -> None:
        """Press or release a button."""
        self._sdl.SDL_JoystickSetVirtualButton(self._joystick, button, int(down))

    def unplug(self) -> None:
        """Take it away; may be called twice."""
        if self._joystick is None:
            return
        for index in range(self._sdl.SDL_NumJoysticks()):
            if self._sdl.SDL_JoystickGetDeviceInstanceID(index) == self._instance:
                self._sdl.SDL_JoystickDetachVirtual(index)
                break
        self._sdl.SDL_JoystickClose(self._joystick)
        self._joystick = None


def _loaded_sdl() -> ctypes.CDLL:
    """The SDL library of this process, with the types of its functions."""
    match = re.search(r"/\S*libSDL2-2\S*", Path("/proc/self/maps").read_text())
    if match is None:
        raise RuntimeError("no SDL 2 library is loaded in this process: import pygame first")
    sdl = ctypes.CDLL(match.group())
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("SDL_GetError", ctypes.c_char_p, []),
        ("SDL_NumJoysticks", integer, []),
        ("SDL_JoystickAttachVirtual", integer, [integer, integer, integer, integer]),
        ("SDL_JoystickDetachVirtual", integer, [integer]),
        ("SDL_JoystickGetDeviceInstanceID", ctypes.c_int32, [integer]),
        ("SDL_JoystickInstanceID", ctypes.c_int32, [pointer]),
        ("SDL_JoystickOpen", pointer, [integer]),
        ("SDL_JoystickClose", None, [pointer]),
        ("SDL_JoystickSetVirtualAxis", integer, [pointer, integer, ctypes.c_int16]),
        ("SDL_JoystickSetVirtualButton", integer, [pointer, integer, ctypes.c_uint8]),
    ):
        function = getattr(sdl, name)
        function.restype, function.argtypes = result, arguments
    return sdl
