"""How many of the evaluation's flights could be survived at all?

    python benchmarks/flight_bound.py --policy runs/multi/policy --vehicle l2f-2

What a policy survives can be survived. For each flight that it loses, open-loop actions are optimised
through the simulator, with full knowledge of the state and of the disturbance, to stay in the box and to end
slow. The share that neither keeps bounds every policy; an estimate, as the optimisation may miss a way.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from policies.bundle import load_bundle
from robot_rl.data.run_directory import machine, write_json
from robot_rl.learn import adam
from robot_rl.learn.compile import cpu_options, use_disk_cache, use_one_thread
from robot_rl.learn.flight.arrays import arrays_of, outline, with_arrays
from robot_rl.learn.flight.gradient import act
from sim.quadrotor.dynamics import Array, State
from sim.quadrotor.dynamics import step as integrate
from sim.quadrotor.environment import Flight, observe, reset, step
from sim.quadrotor.evaluation import SEED
from sim.quadrotor.observation import rotors_of
from sim.quadrotor.settings import FlightSettings, RandomisationSettings

RESULTS = Path(__file__).parent / "results" / "quadrotor"

SLOW = 1.0
"""Speed at the end that counts as caught [m/s]."""


def flown(task: FlightSettings, episodes: int, policy: Any) -> tuple[Flight, np.ndarray]:
    """The starts of the evaluation, and how many steps this policy lasts from each."""
    drawn = []

    def fly(key: Array) -> tuple[list[Array], Array]:
        start = reset(key, task, (episodes,))
        drawn.append(outline(start))

        def advance(carry: tuple, _: None) -> tuple[tuple, None]:
            flight, alive, length = carry
            flight, outcome = step(flight, policy(observe(flight, task)), task)
            return (flight, alive & ~outcome.terminated, length + alive), None

        carry = (start, jnp.ones(episodes, bool), jnp.zeros(episodes))
        (_, alive, length), _ = jax.lax.scan(advance, carry, None, length=task.steps)
        return arrays_of(start), jnp.where(alive, task.steps + 1, length)

    arrays, length = jax.jit(fly, compiler_options=cpu_options())(jax.random.key(SEED))
    return with_arrays(drawn[0], arrays), np.asarray(length)


def open_loop(start: Flight, bound: float, steps: int, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether optimised actions keep each start in its box, and for how many steps.

    Args:
        start: The flights, at least one.
        bound: Half of the box [m].
        steps: Time that has to be survived, until the quadrotor is caught.
        iterations: Of Adam.
    """
    n = start.steps.shape[0]

    def trajectory(raw: Array) -> State:
        def advance(state: State, u: Array) -> tuple[State, State]:
            state = integrate(start.model, state, rotors_of(jnp.tanh(u)), start.disturbance.wrench)
            return state, state

        return jax.lax.scan(advance, start.state, raw)[1]

    def excess(states: State) -> tuple[Array, Array]:
        off = jnp.stack([jnp.abs(p) for p in states.position])
        speed = jnp.sqrt(sum(v[-1] * v[-1] for v in states.velocity))
        return off.max(0), speed

    def loss(raw: Array) -> tuple[Array, tuple[Array, Array]]:
        states = trajectory(raw)
        off, speed = excess(states)
        out = jnp.maximum(jnp.stack([jnp.abs(p) for p in states.position]) - 0.9 * bound, 0.0)
        # The sum over the flights: each has actions, and moments of Adam, of its own.
        cost = 100.0 * jnp.square(jnp.minimum(out, 1.0)).sum((0, 1)) + 3.0 * out.sum((0, 1))
        cost += jnp.square(jnp.minimum(speed, 5.0)) + 2.0 * (1.0 - states.attitude.w[-1] ** 2)
        cost += 0.01 * sum(jnp.square(w).mean(0) for w in states.rates)
        return cost.sum(), (off, speed)

    def optimise(raw: Array) -> tuple[Array, Array]:
        def body(i: Array, carry: tuple) -> tuple:
            raw, moments, kept, lasted = carry
            (_, (off, speed)), gradient = jax.value_and_grad(loss, has_aux=True)(raw)
            norm = jnp.sqrt(jnp.square(gradient).sum((0, 2), keepdims=True))
            gradient = jnp.nan_to_num(gradient / jnp.maximum(norm, 1e-3))
            inside = jnp.cumprod(off <= bound, axis=0)
            kept |= (inside[-1] > 0) & (speed <= SLOW)
            lasted = jnp.maximum(lasted, inside.sum(0))
            rate = 0.1 * (1.0 - 0.9 * i / iterations)
            raw, moments = adam.step(raw, gradient, moments, rate)
            return raw, moments, kept, lasted

        carry = (raw, adam.init(raw), jnp.zeros(n, bool), jnp.zeros(n))
        _, _, kept, lasted = jax.lax.fori_loop(0, iterations, body, carry)
        return kept, lasted

    raw = jnp.full((steps, n, 4), 0.3)
    kept, lasted = jax.jit(optimise, compiler_options=cpu_options())(raw)
    return np.asarray(kept), np.asarray(lasted)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, required=True, help="policy bundle")
    parser.add_argument("--vehicle", default="l2f-2", help="quadrotor")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=120, help="open-loop steps")
    parser.add_argument("--iterations", type=int, default=600)
    arguments = parser.parse_args()
    use_one_thread()
    use_disk_cache()
    bundle = load_bundle(arguments.policy)
    observation = bundle.spec.observation
    history = observation["actions"].size // 4 if "actions" in observation.arrays else 0
    task = FlightSettings(vehicle=RandomisationSettings(sets=(arguments.vehicle,)), history=history)
    params = {name: jnp.asarray(value) for name, value in bundle.weights.items()}
    scale = observation.vector_scale
    start, length = flown(task, arguments.episodes, lambda seen: act(params, seen / scale))
    lost = length <= task.steps
    lengths = np.minimum(length, task.steps)
    best = lengths.copy()
    if lost.any():
        chosen = with_arrays(start._replace(key=None), [a[lost] for a in arrays_of(start._replace(key=None))])
        kept, lasted = open_loop(chosen, task.bound, arguments.steps, arguments.iterations)
        best[lost] = np.where(kept, task.steps, np.maximum(lasted, lengths[lost]))
    found = {
        "vehicle": arguments.vehicle,
        "episodes": arguments.episodes,
        "policy": {"length": float(lengths.mean()), "alive": float(1.0 - lost.mean())},
        "survivable": {"length": float(best.mean()), "alive": float((best == task.steps).mean())},
        "ratio": float(lengths.mean() / best.mean()),
        "open_loop": {
            "steps": arguments.steps,
            "iterations": arguments.iterations,
            "flights": int(lost.sum()),
        },
        "machine": machine(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(RESULTS / f"bound-{arguments.vehicle}.json", found)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
