"""A flight policy that needs no training: linear feedback, written as a tanh network.

The quadrotor is linearised around hovering, with the rotors' lag; the rotor speeds, which nobody measures,
are the past actions through that lag. The gain minimises a sum of quadratic costs (discrete Riccati
equation).
"""

from __future__ import annotations

import numpy as np

from policies.bundle import MLP, Bundle
from robot_rl.core.spec import EnvSpec
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.parameters import QuadrotorParameters

PERIOD = 0.01
NARROW = 1e-2
"""Factor that keeps the hidden layer where tanh is a straight line."""


def hover_bundle(parameters: QuadrotorParameters, history: int = 32) -> Bundle:
    """Hovers at the reference, from starts near it."""
    spec = flight_spec(history)
    gain = _gain(parameters)
    read, offset = _state_from(spec, parameters, history)
    feedback = -gain @ read
    hover = parameters.hover_action
    bias = -feedback @ offset
    scale = spec.observation.vector_scale
    # The rotors' tanh is undone by weights that are right where it is steepest for this bias.
    slope = 1.0 - hover * hover
    weights = {
        "layers.0.weight": (NARROW * feedback * scale).T.astype(np.float32),
        "layers.0.bias": (NARROW * bias).astype(np.float32),
        "layers.1.weight": (np.eye(4) / NARROW / slope).astype(np.float32),
        "layers.1.bias": np.full(4, np.arctanh(hover), np.float32),
    }
    return Bundle(spec, weights, 1, {"task": "hover by linear feedback"}, MLP)


def _gain(p: QuadrotorParameters) -> np.ndarray:
    """(4, 16): actions from position, angles, velocity, rates, rotor speeds about hovering."""
    lift = (p.thrust[1] + 2.0 * p.thrust[2] * p.hover_speed) * np.ones(4)
    a, b = np.zeros((16, 16)), np.zeros((16, 4))
    a[0:3, 6:9] = np.eye(3)
    a[3:6, 9:12] = np.eye(3)
    a[6, 4], a[7, 3] = p.gravity, -p.gravity
    a[8, 12:] = lift / p.mass
    a[9, 12:] = lift * p.rotor_y / p.inertia[0]
    a[10, 12:] = -lift * p.rotor_x / p.inertia[1]
    a[11, 12:] = lift * p.torque_per_thrust * p.spin / p.inertia[2]
    a[12:, 12:] = -np.eye(4) / p.spin_up_time
    b[12:] = 0.5 * np.eye(4) / p.spin_up_time
    # Zero-order hold, by the exponential's series over small steps.
    step, held = np.eye(16), np.zeros((16, 4))
    for _ in range(100):
        step, held = step + a @ step * PERIOD / 100, held + (a @ held + b) * PERIOD / 100
    cost = np.diag([4.0] * 3 + [1.0] * 3 + [1.0] * 3 + [0.02] * 3 + [0.0] * 4)
    value = cost.copy()
    gain = np.zeros((4, 16))
    for _ in range(3000):
        gain = np.linalg.solve(np.eye(4) + held.T @ value @ held, held.T @ value @ step)
        value = cost + step.T @ value @ (step - held @ gain)
    return gain


def _state_from(spec: EnvSpec, p: QuadrotorParameters, history: int) -> tuple[np.ndarray, np.ndarray]:
    """(16, inputs) that reads the state out of an observation, and the observation of hovering."""
    read, at, start = np.zeros((16, spec.observation.vector_size)), {}, 0
    for name, array in spec.observation.entries:
        at[name], start = start, start + array.size
    for i in range(3):
        read[i, at["position"] + i] = read[6 + i, at["velocity"] + i] = read[9 + i, at["rates"] + i] = 1.0
    # Small angles from the rotation matrix, rows x y z.
    read[3, at["rotation"] + 7], read[4, at["rotation"] + 2], read[5, at["rotation"] + 3] = 1.0, 1.0, 1.0
    keep = np.exp(-PERIOD / p.spin_up_time)
    for age in range(history):
        share = (1.0 - keep) * keep**age
        for rotor in range(4):
            read[12 + rotor, at["actions"] + 4 * (history - 1 - age) + rotor] = 0.5 * share
    offset = np.zeros(spec.observation.vector_size)
    offset[at["rotation"] : at["rotation"] + 9] = np.eye(3).ravel()
    offset[at["actions"] :] = p.hover_action
    return read, offset
