"""How the scene looks: colours, light, camera mounts and things that only stand in the picture.

Physics knows nothing of this. `draw_look` draws looks for training encoders and for testing whether what was
learned survives another look.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_rl.core.types import Pose
from sim.arm.settings import SceneConfig

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""

MAX_DISTRACTORS = 4
"""Most distractors of one look."""
CLEARANCE = 0.07
"""From the rim of an object to that of a distractor, at least [m]."""
_STREAM = 3
"""Keeps these random numbers apart from others that come from the same seed."""
_REACH = (0.40, 0.60)
"""Sides of the rectangle for distractors, about the middle of the objects' area [m]."""
_RED = 0.005
"""Hue of the default cube."""


@dataclass(frozen=True, slots=True)
class Distractor:
    """A thing on the table that is drawn and never touched."""

    kind: Literal["box", "cylinder", "sphere"]
    """Shape."""
    radius: float
    """Half side of the box, or radius [m]."""
    height: float
    """Of box and cylinder [m]; a sphere has its diameter."""
    position: tuple[float, float]
    """Where it stands, x and y in the base frame [m]."""
    yaw: float
    """Turn about the vertical [rad]."""
    colour: Colour
    """Of its surface."""


@dataclass(frozen=True, slots=True)
class Mount:
    """How far a camera is from where it should be, in its own frame: x right, y up, z back."""

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[m]."""
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Rotation vector [rad]."""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about a picture that is not geometry of the task. The defaults are the default look."""

    cube: Colour = (0.85, 0.20, 0.15)
    """Of the cube to be moved."""
    peg: Colour = (0.95, 0.75, 0.15)
    """Of the peg between the fingers."""
    board: Colour = (0.20, 0.35, 0.65)
    """Of the board with the hole."""
    hole: Colour = (0.06, 0.06, 0.08)
    """Bottom of the hole, where little light comes."""
    table: Colour = (0.62, 0.52, 0.42)
    """Of the table's top."""
    arm: Colour = (0.88, 0.89, 0.90)
    """Of the links."""
    hand: Colour = (0.75, 0.77, 0.80)
    """Of the palm."""
    fingers: Colour = (0.25, 0.26, 0.28)
    """Of both fingers."""
    background: Colour = (0.22, 0.23, 0.25)
    """The floor below the table, which fills the rest of the picture."""
    light_direction: tuple[float, float, float] = (-0.3, 0.4, -1.0)
    """Where the lamp shines to, base frame; any length."""
    diffuse: float = 0.5
    """Brightness of the lamp."""
    ambient: float = 0.35
    """Brightness of the light from everywhere."""
    headlight: float = 0.25
    """Brightness of the light at each camera."""
    exposure: float = 1.0
    """Factor on all brightness; what exceeds white is clipped."""
    wrist: Mount = Mount()
    """Of the wrist camera."""
    side: Mount = Mount()
    """Of the side camera."""
    distractors: tuple[Distractor, ...] = ()
    """At most `MAX_DISTRACTORS`."""


def draw_look(
    seed: int,
    strength: float = 1.0,
    distractors: int = 0,
    scene: SceneConfig = SceneConfig(),  # noqa: B008
    objects: Mapping[str, Pose] | None = None,
) -> Look:
    """Draw a look; equal arguments give equal looks.

    Colours, brightness and light go from the default towards a random value by `strength`; the mounts are
    normally distributed with `strength` times 2 mm and 4 mrad an axis (wrist), 6 mm and 5 mrad (side). The
    cube stays reddish and the board stays off red, as a learner has to know what to look for; distractors
    have other hues than cube and peg.

    Args:
        seed: Of the look; it may be that of the episode.
        strength: 0 is the default look, 1 the range that encoders are trained for.
        distractors: How many things stand around; fewer where there is no room.
        scene: Tells where the objects' area is and how large they are.
        objects: Where the objects stand at the start; distractors keep `CLEARANCE` from them.
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength must be in [0, 1], got {strength}")
    if not 0 <= distractors <= MAX_DISTRACTORS:
        raise ValueError(f"distractors must be 0 to {MAX_DISTRACTORS}, got {distractors}")
    rng = np.random.default_rng((seed, _STREAM))
    base = Look()

    def blend(default: Colour, hue: tuple[float, float], saturation: tuple[float, float]) -> Colour:
        goal = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(0.45, 1.0))
        r, g, b = ((1.0 - strength) * d + strength * c for d, c in zip(default, goal, strict=True))
        return (r, g, b)

    def vary(default: float, low: float, high: float) -> float:
        return (1.0 - strength) * default + strength * float(rng.uniform(low, high))

    def mount(position: float, rotation: float) -> Mount:
        x, y, z, a, b, c = (strength * rng.standard_normal(6)).tolist()
        return Mount((position * x, position * y, position * z), (rotation * a, rotation * b, rotation * c))

    any_hue = (0.0, 1.0)
    azimuth, tilt = rng.uniform(-math.pi, math.pi), rng.uniform(0.0, 1.0)
    x, y, z = base.light_direction
    sideways = math.tan(float(tilt))
    return Look(
        cube=blend(base.cube, (_RED - 0.06, _RED + 0.06), (0.7, 1.0)),
        peg=blend(base.peg, (0.09, 0.17), (0.6, 1.0)),
        board=blend(base.board, (0.35, 0.75), (0.3, 0.9)),
        hole=_darken(rng, base.hole, strength, 0.2),
        table=blend(base.table, any_hue, (0.0, 0.4)),
        arm=blend(base.arm, any_hue, (0.0, 0.15)),
        hand=blend(base.hand, any_hue, (0.0, 0.15)),
        fingers=_darken(rng, base.fingers, strength, 0.45),
        background=blend(base.background, any_hue, (0.0, 0.6)),
        light_direction=(
            (1.0 - strength) * x + strength * sideways * math.cos(azimuth),
            (1.0 - strength) * y + strength * sideways * math.sin(azimuth),
            z,
        ),
        diffuse=vary(base.diffuse, 0.25, 0.75),
        ambient=vary(base.ambient, 0.2, 0.5),
        headlight=vary(base.headlight, 0.1, 0.4),
        exposure=vary(base.exposure, 0.75, 1.25),
        wrist=mount(0.002, 0.004),
        side=mount(0.006, 0.005),
        distractors=_draw_distractors(rng, distractors, scene, objects or {}),
    )


def _darken(rng: np.random.Generator, default: Colour, strength: float, most: float) -> Colour:
    """Towards a random colour that is dark."""
    r, g, b = (
        (1.0 - strength) * d + strength * float(c)
        for d, c in zip(default, rng.uniform(0.0, most, 3), strict=True)
    )
    return (r, g, b)


def footprint(name: str, scene: SceneConfig) -> float:
    """Radius of the circle around an object, seen from above [m]; 0 for what does not stand on the table."""
    if name == "cube":
        return scene.cube_side * math.sqrt(0.5)
    if name == "hole":
        return 0.5 * math.hypot(*scene.board_size[:2])
    return 0.0


def _draw_distractors(
    rng: np.random.Generator, count: int, scene: SceneConfig, objects: Mapping[str, Pose]
) -> tuple[Distractor, ...]:
    kinds: tuple[Literal["box", "cylinder", "sphere"], ...] = ("box", "cylinder", "sphere")
    # Circles that are taken: centre, radius.
    taken = [(pose.position[:2], CLEARANCE + footprint(name, scene)) for name, pose in objects.items()]
    drawn: list[Distractor] = []
    for _ in range(count):
        kind = kinds[int(rng.integers(3))]
        radius, height = float(rng.uniform(0.012, 0.03)), float(rng.uniform(0.02, 0.06))
        yaw = float(rng.uniform(-math.pi, math.pi))
        # Green to violet: away from the cube's red and the peg's yellow.
        colour = colorsys.hsv_to_rgb(rng.uniform(0.25, 0.85), rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0))
        rim = radius * (math.sqrt(2.0) if kind == "box" else 1.0)
        places = np.array(scene.area_centre) + rng.uniform(-0.5, 0.5, (64, 2)) * _REACH
        for place in places:
            if all(float(np.linalg.norm(place - centre)) >= free + rim for centre, free in taken):
                drawn.append(
                    Distractor(kind, radius, height, (float(place[0]), float(place[1])), yaw, colour)
                )
                taken.append((place, rim))
                break
    return tuple(drawn)
