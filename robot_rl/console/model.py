"""What the pages show: the newest of everything, put in by the graph's thread and taken by the server's."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rl.core.types import ArmState, Pose, StampedImage
from robot_rl.tasks.arm import ArmTaskConfig


@dataclass(frozen=True)
class Setup:
    """What a page is told once: what does not change while the console runs."""

    task: str
    run: str
    """Run directory, "" when it is not known."""
    person: str
    """"operator" when the pages may move the robot, else who does: "scripted" or "none"; "look" when they may
    only look, and stop it."""
    commands: tuple[str, ...]
    """What a page may tell the session."""
    cameras: tuple[str, ...]
    thresholds: tuple[float, ...]
    """Probability from which each stage of the task counts as reached; () without a classifier."""
    control_rate: float
    """Steps a second [Hz]."""
    dead_man: bool
    """Nothing moves unless the dead-man's switch is held down."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Of the robot: workspace_min, workspace_max [m], linear_speed [m/s], force [N]."""

    @classmethod
    def of(cls, task: str, run: str, person: str, commands: tuple[str, ...], config: ArmTaskConfig) -> Setup:
        """From the settings of a task."""
        limits = config.arm.limits
        return cls(
            task=task,
            run=run,
            person=person,
            commands=commands,
            cameras=config.cameras,
            thresholds=config.thresholds() if config.classifier.directory else (),
            control_rate=config.control_rate,
            dead_man=config.teleop.dead_man,
            limits={
                "workspace_min": limits.workspace_min,
                "workspace_max": limits.workspace_max,
                "linear_speed": limits.linear_speed,
                "force": limits.force,
            },
        )


SECTIONS = ("safety", "permit", "session", "episode", "control", "probability", "processes")
"""What `Model.put` takes, beside the arm and its pictures. All but the last two are the fields of the
graph's messages of that name."""


class Model:
    """The newest values. Safe to use from several threads; nothing in it waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sections: dict[str, Any] = dict.fromkeys(SECTIONS)
        self._heard: dict[str, float] = {}
        self._state: ArmState | None = None
        self._arm: dict[str, Any] | None = None
        self._pictures: dict[str, tuple[int, StampedImage]] = {}
        self._curves: tuple[int, Any] = (0, None)
        self.watched = False
        """Somebody looks at a page: pictures and figures are worth their work."""

    def put(self, section: str, value: Any) -> None:
        """Keep the newest of a section: a dataclass, or what JSON knows."""
        if section not in SECTIONS:
            raise KeyError(section)
        plain = (
            dataclasses.asdict(value)
            if dataclasses.is_dataclass(value) and not isinstance(value, type)
            else value
        )
        with self._lock:
            self._sections[section] = finite(plain)
            self._heard[section] = time.monotonic()

    def put_arm(self, state: ArmState) -> None:
        """Keep the newest state of the arm."""
        view = {
            "stamp": state.stamp,
            "position": state.tcp.position.tolist(),
            "target": state.target.position.tolist(),
            "speed": float(np.linalg.norm(state.twist[:3])),
            "force": float(np.linalg.norm(state.wrench[:3])),
            "width": float(state.gripper_width),
            "closed": bool(state.gripper_closed),
        }
        with self._lock:
            self._state, self._arm = state, finite(view)
            self._heard["arm"] = time.monotonic()

    def target(self) -> Pose | None:
        """The newest target of the arm, base frame."""
        with self._lock:
            return self._state.target if self._state is not None else None

    def put_picture(self, camera: str, picture: StampedImage) -> None:
        """Keep the newest picture of a camera."""
        with self._lock:
            sequence = self._pictures[camera][0] + 1 if camera in self._pictures else 0
            self._pictures[camera] = sequence, picture

    def put_curves(self, curves: Any) -> None:
        """Keep what the curves show, as JSON has it."""
        with self._lock:
            self._curves = self._curves[0] + 1, curves

    def picture(self, camera: str) -> tuple[int, StampedImage] | None:
        """The newest picture of a camera and its number, None before the first."""
        with self._lock:
            return self._pictures.get(camera)

    def curves(self) -> tuple[int, Any]:
        """What the curves show, and a number that changes with it."""
        with self._lock:
            return self._curves

    def snapshot(self) -> dict[str, Any]:
        """All sections as JSON has them, with the age of each [s]; null for what was never heard of."""
        now = time.monotonic()
        with self._lock:
            ages = {name: round(now - heard, 2) for name, heard in self._heard.items()}
            return {"arm": self._arm, **self._sections, "ages": ages}


def finite(value: Any) -> Any:
    """A value as JSON has it: null for numbers that are not finite, and no more digits than can be seen."""
    match value:
        case float():
            return round(value, 4) if math.isfinite(value) else None
        case dict():
            return {name: finite(item) for name, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
    return value
