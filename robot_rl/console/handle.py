"""The handle in the 3-D view as an input device: the arm's target goes where it is dragged to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from drivers.teleop.leader import axes_towards
from drivers.teleop.settings import TeleopConfig
from robot_rl.core.types import Pose

HELD = 1e-3
"""Deflection above the dead zone of a handle that is held still: some hundredths of a millimetre a second."""


class HandleView(Protocol):
    """Draws the handle: `robot_rl.console.scene.Scene3D`."""

    def show_handle(self, visible: bool) -> None: ...

    def drag(self, wanted: Pose | None) -> None: ...


class Handle:
    """Where the operator holds the handle, and the axes that take the arm there.

    Args:
        view: Draws it.
        config: Speeds of teleoperation.
        target: The arm's target, None while it is not known.
    """

    def __init__(self, view: HandleView, config: TeleopConfig, target: Callable[[], Pose | None]) -> None:
        self._view = view
        self._config = config
        self._target = target
        self.wanted: Pose | None = None
        """Base frame; None while nobody holds the handle."""

    def show(self, visible: bool) -> None:
        """Offer the handle, or take it away."""
        self.wanted = None
        self._view.show_handle(visible)

    def drag(self, wanted: Pose | None) -> None:
        """Hold it at a pose, or let it go."""
        self.wanted = wanted
        self._view.drag(wanted)

    def axes(self) -> np.ndarray | None:
        """(6,) axes in [-1, 1], base frame; None while nobody holds the handle.

        They are never at rest: who holds it still, with the arm where she wants it, keeps control.
        """
        target = self._target()
        if self.wanted is None or target is None:
            return None
        axes = axes_towards(self._config, self.wanted, target)
        if not axes.any():
            axes[0] = self._config.dead_zone + HELD
        return axes
