"""What a flying policy sees and commands, as a spec: names, order, units and bounds. Imports no JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from sim.quadrotor.settings import PERIOD

LIMITS = {"position": 1.0, "rotation": 1.05, "velocity": 5.0, "rates": 35.0, "preview": 5.0, "actions": 1.0}
"""Bounds of the arrays, in their units, either side of 0. Who builds an observation from measurements clips
to them; the simulation for training does not."""

PLAIN: Mapping[str, float] = {}
"""Scales of the paper's network: it sees the numbers as they are."""

BALANCED: Mapping[str, float] = {"position": 1.0 / 3.0, "rotation": 1.0 / 1.5, "rates": 5.0}
"""Scales that make all inputs of about the same magnitude while hovering; those not named are 1."""


def flight_spec(
    history: int = 32, preview: Sequence[float] = (), scales: Mapping[str, float] = PLAIN, name: str = ""
) -> EnvSpec:
    """The spec of a policy from state to rotor speeds.

    The observation is, in this order: `position` relative to the reference in world axes, `rotation` body to
    world by rows, `velocity` relative to the reference's in world axes, `rates` in body axes, with previews
    the mean velocity of the reference until then, and the last actions, oldest first.

    Args:
        history: Past actions that the policy sees.
        preview: Times ahead at which the policy sees the reference [s].
        scales: Typical magnitude of the arrays: the network's input is the value over this.
        name: Of the task.
    """
    arrays = {
        "position": _array("position", scales, "m", "world", ("x", "y", "z")),
        "rotation": _array("rotation", scales, "1", "world", tuple(f"r{i}{j}" for i in "xyz" for j in "xyz")),
        "velocity": _array("velocity", scales, "m/s", "world", ("x", "y", "z")),
        "rates": _array("rates", scales, "rad/s", "body", ("x", "y", "z")),
    }
    if preview:
        names = tuple(f"{axis}+{ahead:g}s" for ahead in preview for axis in "xyz")
        arrays["preview"] = _array("preview", scales, "m/s", "world", names)
    if history:
        names = tuple(f"rotor{i}-{age}" for age in range(history, 0, -1) for i in range(1, 5))
        arrays["actions"] = _array("actions", scales, "1", "", names)
    rotors = ("rotor1", "rotor2", "rotor3", "rotor4")
    action = ArraySpec(shape=(4,), low=-1.0, high=1.0, names=rotors)
    return EnvSpec(Spec.of(arrays), action, control_rate=float(round(1.0 / PERIOD)), name=name)


def _array(
    name: str, scales: Mapping[str, float], unit: str, frame: str, names: tuple[str, ...]
) -> ArraySpec:
    limit = LIMITS.get(name, math.inf)
    return ArraySpec(
        shape=(len(names),),
        unit=unit,
        frame=frame,
        low=-limit,
        high=limit,
        scale=scales.get(name, 1.0),
        names=names,
    )
