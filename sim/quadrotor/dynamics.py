"""A quadrotor's motion: rigid body, four rotors with lag, integrated by the classic Runge-Kutta method.

With position p and velocity v in the world, attitude R (body to world), body rates w, rotor speeds s:

    p' = v
    m v' = R e_z sum_i f(s_i) + F - m g e_z
    R' = R [w]x
    J w' = tau - w x J w + M,   tau = sum_i f(s_i) (y_i, -x_i, k spin_i)
    s_i' = (u_i - s_i) / T,     T = spin-up time where u_i > s_i, else spin-down time

f is the thrust of one rotor, (x_i, y_i) its place, k drag torque over thrust, u the speed that is asked for,
F [N] and M [Nm] a disturbance in the world's and in the body's axes. It is the model of Eschmann, Albani and
Loianno, "Learning to Fly in Seconds" (RA-L 2024, section III), with the rotors' lag integrated too.

A state is a tuple of plain arrays of one shape, of any number of worlds and drones: with vectors as the last
axis, XLA's loops on a CPU would be three numbers long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sim.quadrotor.parameters import QuadrotorParameters
from sim.quadrotor.settings import PERIOD as PERIOD

Array = Any
"""A JAX array, or a float where all drones are the same."""


class Vector(NamedTuple):
    """Three components, each of the leading shape."""

    x: Array
    y: Array
    z: Array


class Quaternion(NamedTuple):
    """A rotation, xyzw."""

    x: Array
    y: Array
    z: Array
    w: Array


Rotors = tuple[Array, Array, Array, Array]
"""One number for each rotor."""


class State(NamedTuple):
    """All that moves."""

    position: Vector
    """In the world [m]."""
    attitude: Quaternion
    """Body to world."""
    velocity: Vector
    """In the world [m/s]."""
    rates: Vector
    """Angular velocity in body axes [rad/s]."""
    rotors: Rotors
    """Speeds, as parts of the highest one."""


class Wrench(NamedTuple):
    """A disturbance."""

    force: Vector
    """In the world [N]."""
    torque: Vector
    """In body axes [Nm]."""


class Model(NamedTuple):
    """Parameters of one quadrotor, or of as many as a state has; see `QuadrotorParameters`."""

    mass: Array
    inertia: Vector
    rotor_x: Rotors
    rotor_y: Rotors
    spin: Rotors
    thrust: tuple[Array, Array, Array]
    torque_per_thrust: Array
    spin_up_time: Array
    spin_down_time: Array
    gravity: Array

    @classmethod
    def of(cls, parameters: QuadrotorParameters) -> Model:
        """One quadrotor; its numbers become constants of the compiled program."""
        up, down = parameters.spin_up_time, parameters.spin_down_time
        return cls(
            mass=parameters.mass,
            inertia=Vector(*parameters.inertia),
            rotor_x=parameters.rotor_x,
            rotor_y=parameters.rotor_y,
            spin=parameters.spin,
            thrust=parameters.thrust,
            torque_per_thrust=parameters.torque_per_thrust,
            spin_up_time=up,
            spin_down_time=up if up == down else down,
            gravity=parameters.gravity,
        )


CALM = Wrench(Vector(0.0, 0.0, 0.0), Vector(0.0, 0.0, 0.0))
"""No disturbance."""


def rest(shape: tuple[int, ...], rotors: float = 0.0) -> State:
    """Level, at the origin, at rest, with rotors at this speed."""
    zero, one = jnp.zeros(shape), jnp.ones(shape)
    vector = Vector(zero, zero, zero)
    speed = jnp.full(shape, rotors)
    return State(vector, Quaternion(zero, zero, zero, one), vector, vector, (speed, speed, speed, speed))


def rotor_command(action: Rotors) -> Rotors:
    """Speeds that an action in [-1, 1] asks for; what is outside is clipped."""
    a, b, c, d = (0.5 * (jnp.clip(x, -1.0, 1.0) + 1.0) for x in action)
    return a, b, c, d


def body_z(q: Quaternion) -> Vector:
    """The body's z axis in the world: the third column of R."""
    return Vector(
        2.0 * (q.x * q.z + q.w * q.y), 2.0 * (q.y * q.z - q.w * q.x), 1.0 - 2.0 * (q.x * q.x + q.y * q.y)
    )


def derivative(model: Model, state: State, command: Rotors, wrench: Wrench) -> State:
    """Rate of change of a state, per second."""
    # Multiplied by reciprocals: the compiler shares one division among the four stages of a step.
    per_mass = 1.0 / model.mass
    c0, c1, c2 = model.thrust
    f = [c0 + s * (c1 + s * c2) for s in state.rotors]
    lift = (f[0] + f[1] + f[2] + f[3]) * per_mass
    up = body_z(state.attitude)
    acceleration = Vector(
        up.x * lift + wrench.force.x * per_mass,
        up.y * lift + wrench.force.y * per_mass,
        up.z * lift + wrench.force.z * per_mass - model.gravity,
    )
    rows = list(zip(f, model.rotor_x, model.rotor_y, model.spin, strict=True))
    roll = sum(y * t for t, _, y, _ in rows)
    pitch = -sum(x * t for t, x, _, _ in rows)
    yaw = model.torque_per_thrust * sum(sign * t for t, _, _, sign in rows)
    w, j = state.rates, model.inertia
    turn = Vector(
        (roll + wrench.torque.x + (j.y - j.z) * w.y * w.z) * (1.0 / j.x),
        (pitch + wrench.torque.y + (j.z - j.x) * w.z * w.x) * (1.0 / j.y),
        (yaw + wrench.torque.z + (j.x - j.y) * w.x * w.y) * (1.0 / j.z),
    )
    q = state.attitude
    spin = Quaternion(
        0.5 * (q.w * w.x + q.y * w.z - q.z * w.y),
        0.5 * (q.w * w.y + q.z * w.x - q.x * w.z),
        0.5 * (q.w * w.z + q.x * w.y - q.y * w.x),
        -0.5 * (q.x * w.x + q.y * w.y + q.z * w.z),
    )
    lag = [_lag(model, u, s) for u, s in zip(command, state.rotors, strict=True)]
    return State(state.velocity, spin, acceleration, turn, (lag[0], lag[1], lag[2], lag[3]))


def _lag(model: Model, wanted: Array, speed: Array) -> Array:
    lack = wanted - speed
    if model.spin_up_time is model.spin_down_time:
        return lack * (1.0 / model.spin_up_time)
    return lack * jnp.where(lack > 0.0, 1.0 / model.spin_up_time, 1.0 / model.spin_down_time)


def step(model: Model, state: State, action: Rotors, wrench: Wrench = CALM, period: float = PERIOD) -> State:
    """The state one period later, with the action and the disturbance held meanwhile.

    Args:
        model: Of the drones.
        state: Now.
        action: Of each rotor in [-1, 1].
        wrench: Disturbance.
        period: Time step [s].
    """
    command = rotor_command(action)

    def along(k: State, h: float) -> State:
        return jax.tree.map(lambda y, dy: y + h * dy, state, k)

    k1 = derivative(model, state, command, wrench)
    k2 = derivative(model, along(k1, period / 2), command, wrench)
    k3 = derivative(model, along(k2, period / 2), command, wrench)
    k4 = derivative(model, along(k3, period), command, wrench)
    after = jax.tree.map(
        lambda y, a, b, c, d: y + period / 6 * (a + 2.0 * (b + c) + d), state, k1, k2, k3, k4
    )
    r0, r1, r2, r3 = (jnp.clip(s, 0.0, 1.0) for s in after.rotors)
    return after._replace(attitude=normalise(after.attitude), rotors=(r0, r1, r2, r3))


def normalise(q: Quaternion) -> Quaternion:
    """Unit length again."""
    scale = jax.lax.rsqrt(q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w)
    return Quaternion(q.x * scale, q.y * scale, q.z * scale, q.w * scale)
