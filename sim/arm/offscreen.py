"""OpenGL without a display, for pictures on machines with and without a GPU."""

from __future__ import annotations

import ctypes.util
import importlib
import os
from typing import Any

from robot_rl.core.errors import MissingDependencyError

_GRAPHICS_LIBRARIES = "as root: make system-deps (Debian and Ubuntu: apt-get install libegl1 libosmesa6)"


def offscreen_context(width: int, height: int) -> Any:
    """An OpenGL context without a display: EGL, or OSMesa where that is missing."""
    platform = os.environ.get("PYOPENGL_PLATFORM", "").lower()
    for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        # PyOpenGL keeps the first platform that it was loaded for, so we look before we load.
        if platform in ("", name) and ctypes.util.find_library(library):
            return importlib.import_module(f"mujoco.{name}").GLContext(width, height)
    raise MissingDependencyError("EGL or OSMesa", "off-screen rendering", _GRAPHICS_LIBRARIES)


def release(window: Any, context: Any) -> None:
    """Free an OpenGL context and what MuJoCo keeps in it."""
    window.make_current()
    context.free()
    window.free()
