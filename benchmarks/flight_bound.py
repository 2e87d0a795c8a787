"""How many of an evaluation's flights could be survived at all?

    python benchmarks/flight_bound.py [--preset quadrotor_hover:multi] [--flights l2f-2]

What a policy survives can be survived. For each flight that it loses, open-loop actions are optimised
through the simulator, with full knowledge of the state and of all that will push, to stay in the box and to
end slow. The share that neither keeps bounds every policy; an estimate, as the optimisation may miss a way.
"""

from __future__ import annotations

import argparse
import json
import sys

import flight_training
import jax
import jax.numpy as jnp
import numpy as np
import report

from robot_rl.data.run_directory import machine, write_json
from robot_rl.learn import adam
from robot_rl.learn.compile import cpu_options, use_disk_cache, use_one_thread
from robot_rl.learn.flight.arrays import arrays_of, outline, with_arrays
from robot_rl.learn.flight.gradient import act
from robot_rl.learn.flight.trainer import Trainer
from robot_rl.tasks.flight import FlightTask
from sim.quadrotor.dynamics import Array, State, Vector, Wrench
from sim.quadrotor.dynamics import step as integrate
from sim.quadrotor.environment import Flight, observe, reset, step
from sim.quadrotor.evaluation import SEED, Policy
from sim.quadrotor.observation import rotors_of
from sim.quadrotor.settings import FlightSettings

RESULTS = flight_training.RESULTS

SLOW = 1.0
"""Speed at the end that counts as caught [m/s]."""

TARGETS = {("quadrotor_hover:multi", "l2f-2"): 0.98}
"""Part of the survivable length that the worst seed should reach, by preset and flights."""


def flown(
    task: FlightSettings, episodes: int, policy: Policy, params: object
) -> tuple[Flight, Vector, Array]:
    """Fly the evaluation.

    Returns:
        The starts, the force on each flight in each step (steps, episodes) [N], and how many steps each
        lasted; one more than there are if it lasted to the end.
    """
    drawn = []

    def fly(key: Array) -> tuple[list[Array], Vector, Array]:
        start = reset(key, task, (episodes,))
        drawn.append(outline(start))

        def advance(carry: tuple, _: None) -> tuple[tuple, Vector]:
            flight, alive, length = carry
            force = flight.disturbance.wrench.force
            flight, outcome = step(flight, policy(params, observe(flight, task)), task)
            return (flight, alive & ~outcome.terminated, length + alive), force

        carry = (start, jnp.ones(episodes, bool), jnp.zeros(episodes))
        (_, alive, length), forces = jax.lax.scan(advance, carry, None, length=task.steps)
        return arrays_of(start), forces, jnp.where(alive, task.steps + 1, length)

    arrays, forces, length = jax.jit(fly, compiler_options=cpu_options())(jax.random.key(SEED))
    return with_arrays(drawn[0], arrays), forces, np.asarray(length)


def open_loop(start: Flight, forces: Vector, bound: float, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether optimised actions keep each start in its box, and for how many steps.

    Args:
        start: The flights, at least one.
        forces: What pushes them in each step (steps, flights) [N]; the steps are those to be survived.
        bound: Half of the box [m].
        iterations: Of Adam.
    """
    n = start.steps.shape[0]
    torque = start.disturbance.constant.torque

    def trajectory(raw: Array) -> State:
        def advance(state: State, given: tuple[Array, Vector]) -> tuple[State, State]:
            u, force = given
            state = integrate(start.model, state, rotors_of(jnp.tanh(u)), Wrench(force, torque))
            return state, state

        return jax.lax.scan(advance, start.state, (raw, forces))[1]

    def loss(raw: Array) -> tuple[Array, tuple[Array, Array]]:
        states = trajectory(raw)
        position = jnp.stack([jnp.abs(p) for p in states.position])
        speed = jnp.sqrt(sum(v[-1] * v[-1] for v in states.velocity))
        out = jnp.maximum(position - 0.9 * bound, 0.0)
        # The sum over the flights: each has actions, and moments of Adam, of its own.
        cost = 100.0 * jnp.square(jnp.minimum(out, 1.0)).sum((0, 1)) + 3.0 * out.sum((0, 1))
        cost += jnp.square(jnp.minimum(speed, 5.0)) + 2.0 * (1.0 - states.attitude.w[-1] ** 2)
        cost += 0.01 * sum(jnp.square(w).mean(0) for w in states.rates)
        return cost.sum(), (position.max(0), speed)

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

    raw = jnp.full((forces.x.shape[0], n, 4), 0.3)
    kept, lasted = jax.jit(optimise, compiler_options=cpu_options())(raw)
    return np.asarray(kept), np.asarray(lasted)


def measure(
    preset: str, task: FlightTask, flights: str, seconds: float, iterations: int
) -> dict[str, object]:
    """Train with seed 0, fly the evaluation, and look for ways through the flights that were lost."""
    settings = task.evaluations()[flights]
    weights = Trainer(task.gradient, task.training, task.spec).train(task.gradient, 0).weights
    scale = task.spec.observation.vector_scale
    params = {name: jnp.asarray(value) for name, value in weights.items()}
    start, forces, length = flown(settings, task.episodes, lambda p, seen: act(p, seen / scale), params)
    lost = length <= settings.steps
    lengths = np.minimum(length, settings.steps)
    best = lengths.copy()
    if lost.any():
        still = start._replace(key=None)
        chosen = with_arrays(still, [a[lost] for a in arrays_of(still)])
        steps = round(100 * seconds)
        pushes = Vector(*(np.asarray(f)[:steps, lost] for f in forces))
        kept, lasted = open_loop(chosen, pushes, settings.bound, iterations)
        best[lost] = np.where(kept, settings.steps, np.maximum(lasted, lengths[lost]))
    return {
        "preset": preset,
        "flights": flights,
        "episodes": task.episodes,
        "policy": {"length": float(lengths.mean()), "alive": float(1.0 - lost.mean())},
        "survivable": {"length": float(best.mean()), "alive": float((best == settings.steps).mean())},
        "open_loop": {"seconds": seconds, "iterations": iterations, "tried": int(lost.sum())},
        "machine": machine(),
    }


def kept() -> list[report.Result]:
    """How near the worst seed of each preset comes to what was found to be survivable."""
    results = []
    for path in sorted(RESULTS.glob("bound-*.json")):
        found = json.loads(path.read_text())
        seeds = json.loads((RESULTS / f"{found['preset'].replace(':', '-')}.json").read_text())["seeds"]
        worst = min(seed[found["flights"]]["length"] for seed in seeds.values())
        name = f"{found['preset']} on {found['flights']}, length over survivable, worst of {len(seeds)} seeds"
        most = found["survivable"]["length"]
        target = TARGETS.get((found["preset"], found["flights"]))
        results.append(report.result(name, worst / most, "1", "higher", target, survivable=most))
    return results


def main() -> int:
    """Run the benchmark."""
    known = flight_training.flights()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=[*known], default="quadrotor_hover:multi")
    parser.add_argument("--flights", default="l2f-2", help="which of the preset's evaluations")
    parser.add_argument("--seconds", type=float, default=1.2, help="time that has to be survived")
    parser.add_argument("--iterations", type=int, default=600)
    arguments = parser.parse_args()
    task = known[arguments.preset]
    if arguments.flights not in task.evaluations():
        parser.error(f"--flights must be one of {', '.join(task.evaluations())}, not {arguments.flights}")
    use_one_thread()
    use_disk_cache()
    found = measure(arguments.preset, task, arguments.flights, arguments.seconds, arguments.iterations)
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = f"bound-{arguments.preset.replace(':', '-')}-{arguments.flights}.json"
    write_json(RESULTS / name, found)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
