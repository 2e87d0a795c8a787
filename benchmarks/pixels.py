"""Learning from pixels that are encoded once, beside the same learner that runs its backbone on every batch.

Two cameras with 256 features each, 14 numbers of proprioception, 5 actions, and the default learner: 2
critics of 128x128 behind trunks of 64, batch 256, UTD 4, actor, cloning and temperature steps included.
Measured:

- critic updates per CPU-second from cached features (replay, gathering and dispatch included);
- the same critic and actor steps when a frozen ResNet-10 encodes the 1024 pictures of each batch again, in
  bfloat16 or float32, whichever is faster here;
- what encoding two cameras at 10 Hz takes of a core, with the default encoder;
- the bytes of a transition in replay, and the memory of the default rings;
- the limits of this machine: the rate of large float32 products and of copies, over what an update needs.

Each contender is a process with one compute thread; cached and recomputed take turns. On a machine whose JAX
finds a GPU the cached learner runs there as well. The limits take every operand from memory once; on a CPU
the weights stay in its caches.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report
from worker import Worker, serve

if TYPE_CHECKING:
    import numpy as np
    import torch

    from robot_rl.core.spec import EnvSpec

CAMERAS, FEATURES, IMAGE = ("wrist", "side"), 256, 128
PROPRIOCEPTION, ACTIONS = 14, 5
RATE = 10.0
"""Pictures of each camera a second [Hz]."""
ROUNDS, QUICK_ROUNDS = 5, 2


def task(crops: int = 0) -> EnvSpec:
    """What the task looks like to the learner."""
    from robot_rl.core.spec import ArraySpec, EnvSpec, Spec

    arrays = {"arm": ArraySpec((PROPRIOCEPTION,))}
    for camera in CAMERAS:
        arrays[f"{camera}.features"] = ArraySpec((FEATURES,), dtype="float16", encoder="benchmark")
    for camera in CAMERAS if crops else ():
        arrays[f"{camera}.crops"] = ArraySpec((crops, FEATURES), dtype="float16", encoder="benchmark")
    return EnvSpec(Spec.of(arrays), ArraySpec((ACTIONS,), low=-1.0, high=1.0), RATE)


def cached() -> Callable[[int], int]:
    """A function that does at least n critic updates of the learner as it is, and returns how many."""
    import numpy as np

    from robot_rl.core.types import Key, Source, Transition
    from robot_rl.learn.learner import Learner
    from robot_rl.learn.settings import LearnerConfig

    spec, config = task(), LearnerConfig(demonstrations=1, bc_steps=0, learning_starts=0)
    learner, rng = Learner(spec, config, seed=0), np.random.default_rng(0)
    seen = [
        {n: rng.standard_normal(a.shape, np.float32).astype(a.dtype) for n, a in spec.observation.entries}
        for _ in range(1000)
    ]
    taken = 0

    def transition(source: Source) -> Transition:
        nonlocal taken
        taken += 1
        action = rng.uniform(-1, 1, ACTIONS).astype(np.float32)
        return Transition(
            key=Key("bench", 0, taken),
            episode=0,
            step=taken,
            observation=seen[taken % len(seen)],
            action=action,
            proposal=action,
            reward=float(rng.random()),
            penalty=0.0,
            terminated=False,
            truncated=taken == 500,
            next_observation=seen[(taken + 1) % len(seen)],
            source=source,
            policy_version=1,
            stamp=0,
        )

    for _ in range(500):
        learner.add(transition(Source.DEMO))

    def run(updates: int) -> int:
        steps = -(-updates // (config.block * config.utd_ratio)) * config.block
        for _ in range(steps):
            learner.add(transition(Source.POLICY))
        learner.weights()
        return steps * config.utd_ratio

    return run


def recomputed() -> Callable[[int], int]:
    """The same for critic and actor steps on features that ResNet-10 makes of the pictures of each batch."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import torch

    from robot_rl.learn import agent as agents
    from robot_rl.learn import update
    from robot_rl.learn.compile import Program, use_disk_cache
    from robot_rl.learn.replay import Batch
    from robot_rl.learn.settings import LearnerConfig
    from robot_rl.perception.networks import ResNet10, ResNetEncoder, randomise

    torch.set_num_threads(1)
    use_disk_cache()
    config, rng = LearnerConfig(), np.random.default_rng(0)
    shape = agents.shape_of(task(), config)
    agent = agents.create(shape, config, 0)
    size, taken = config.batch_size, 0
    pictures = rng.integers(0, 256, (2 * size + 1, len(CAMERAS), IMAGE, IMAGE, 3), np.uint8)
    network = ResNetEncoder(ResNet10(), "average").eval().requires_grad_(False)
    randomise(network, 0)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    half = fastest(network, torch.from_numpy(pictures[:16, 0]))

    def encode(rows: np.ndarray) -> jax.Array:
        """(n, 512) float16: the features of both cameras in so many rows, 64 pictures at a time."""
        parts = [features(network, torch.from_numpy(pictures[rows, c]), half) for c in range(len(CAMERAS))]
        return jnp.asarray(torch.cat(parts, 1).half().numpy())

    def critic_step(agent: agents.Agent, batch: Batch, noise: jax.Array, order: jax.Array) -> agents.Agent:
        return update.critic_step(agent, shape, config, batch, noise, order)[0]

    def actor_step(agent: agents.Agent, batch: Batch, noise: jax.Array) -> agents.Agent:
        one = jnp.float32(1.0)
        return update.actor_step(agent, shape, config, batch, noise, one, one)[0]

    critic, actor = Program(critic_step), Program(actor_step)
    order, noise = jnp.arange(config.critics), jnp.zeros((size, ACTIONS))

    def batch_of(rows: np.ndarray) -> Batch:
        return Batch(
            observation=jnp.zeros((size, PROPRIOCEPTION)),
            action=jnp.zeros((size, ACTIONS)),
            next_observation=jnp.zeros((size, PROPRIOCEPTION)),
            reward=jnp.zeros(size),
            penalty=jnp.zeros(size),
            continues=jnp.ones(size),
            features=encode(rows),
            next_features=encode(rows + 1),
        )

    batch = batch_of(np.arange(size))
    agent = actor(critic(agent, batch, noise, order), batch, noise)

    def run(updates: int) -> int:
        nonlocal agent, taken
        for _ in range(updates):
            batch = batch_of(rng.integers(0, 2 * size, size))
            agent = critic(agent, batch, noise, order)
            taken += 1
            if taken % config.utd_ratio == 0:
                agent = actor(agent, batch, noise)
        jax.block_until_ready(agent)
        return updates

    return run


def features(network: Any, pictures: torch.Tensor, half: bool) -> torch.Tensor:
    """(n, 256) float32 features of (n, h, w, 3) uint8 pictures, 64 at a time."""
    import torch

    from robot_rl.perception.encoder import as_input

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        return torch.cat([network.features(as_input(part)).float() for part in pictures.split(64)])


def fastest(network: Any, pictures: torch.Tensor) -> bool:
    """Whether bfloat16 takes less CPU time than float32 on this machine."""
    seconds = {}
    for half in (False, True):
        features(network, pictures, half)
        start = time.process_time()
        features(network, pictures, half)
        seconds[half] = time.process_time() - start
    return seconds[True] < seconds[False]


def encoding(crops: int) -> Callable[[int], int]:
    """A function that encodes n pairs of pictures with the default encoder, each when it comes."""
    import numpy as np

    from robot_rl.core.types import StampedImage
    from robot_rl.perception.encoder import load_encoder
    from robot_rl.perception.settings import EncoderConfig

    encoder = load_encoder(EncoderConfig(crops=crops), CAMERAS)
    pictures = np.random.default_rng(0).integers(0, 256, (len(CAMERAS), IMAGE, IMAGE, 3), np.uint8)

    def run(pairs: int) -> int:
        for stamp in range(pairs):
            encoder.encode({c: StampedImage(stamp, p) for c, p in zip(CAMERAS, pictures, strict=True)})
        return pairs

    return run


def memory() -> dict[str, float]:
    """Bytes of a transition without and with 4 crops, and memory [MB] of the default rings in use."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from robot_rl.learn import replay
    from robot_rl.learn.agent import shape_of
    from robot_rl.learn.compile import Program
    from robot_rl.learn.settings import LearnerConfig
    from robot_rl.learn.update import make_insert

    config = LearnerConfig()
    rings = replay.Rings(config.capacity, config.demo_capacity)
    insert = Program(make_insert(config), donate=(0,))

    width = replay.row_width(task())

    def bytes_of(crops: int) -> float:
        sight = shape_of(task(crops), config).sight
        arrays = jax.tree.leaves(jax.eval_shape(lambda: replay.create(rings, width, sight)))
        return sum(a.size * a.dtype.itemsize for a in arrays) / (rings.online + rings.demo)

    def fill(rings: replay.Rings) -> replay.Replay:
        store = replay.create(rings, width, shape_of(task(), config).sight)
        flags = jnp.ones(config.block, bool)
        numbers = np.ones((config.block, width), np.float32)
        seen = np.ones((config.block, 2, 1, FEATURES * len(CAMERAS)), np.float16)
        return jax.block_until_ready(insert(store, numbers, flags, flags, seen))

    fill(replay.Rings(config.block, config.block))
    before = resident()
    held = fill(rings)
    after = resident()
    assert held.features is not None
    return {"bytes": bytes_of(0), "bytes_crops": bytes_of(4), "megabytes": (after - before) / 1e6}


def resident() -> int:
    """Resident memory of this process [bytes]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def limits() -> dict[str, Any]:
    """What JAX's device does at best: float32 products [FLOP/s] and copies [bytes/s]; and its name."""
    import jax
    import jax.numpy as jnp

    from robot_rl.learn.compile import cpu_options

    device = jax.devices()[0]
    big = device.platform != "cpu"
    options = {} if big else cpu_options()
    size, length = (8192, 2**28) if big else (1024, 2**25)

    def fastest_of(function: Callable[..., jax.Array], *arguments: jax.Array) -> float:
        program = jax.jit(function, compiler_options=options)
        seconds = []
        for _ in range(8):
            clock = time.perf_counter if big else time.process_time
            start = clock()
            jax.block_until_ready(program(*arguments))
            seconds.append(clock() - start)
        return min(seconds)

    matrix = jnp.ones((size, size))
    product = 2.0 * size**3 / fastest_of(lambda a, b: a @ b, matrix, matrix)
    copy = 8.0 * length / fastest_of(lambda x: x + 1.0, jnp.ones(length))
    return {"device": device.device_kind if big else "cpu", "flops": product, "bytes": copy}


def cost() -> tuple[float, float]:
    """Floating point operations and bytes that one critic update needs, with its share of the actor step.

    Counted are the products, 2 operations each; of the bytes, the gathered features, and every parameter,
    Adam moment and target once in and once out.
    """
    from robot_rl.learn.settings import LearnerConfig

    config = LearnerConfig()
    inputs = config.trunk + PROPRIOCEPTION

    def hidden(first: int, last: int) -> int:
        widths = (first, *config.hidden, last)
        return sum(a * b for a, b in itertools.pairwise(widths))

    trunk = len(CAMERAS) * FEATURES * config.trunk
    actor, critic, members = hidden(inputs, 2 * ACTIONS), hidden(inputs + ACTIONS, 1), config.critics
    # Backward, a layer costs its forward product twice; the trunk once, as features have no gradient.
    critic_step = (trunk + actor) + members * (trunk + critic) + members * (2 * trunk + 3 * critic)
    actor_step = (2 * trunk + 3 * actor) + members * (trunk + 2 * critic)
    products = config.batch_size * (critic_step + actor_step / config.utd_ratio)
    picture = 2 * len(CAMERAS) * FEATURES
    gathered = config.batch_size * picture * (2 + 1 / config.utd_ratio)
    parameters = 4 * (members * (trunk + critic) * 8 + (trunk + actor) * (1 + 6 / config.utd_ratio))
    return 2.0 * products, gathered + parameters


WORK = {
    "cached": cached,
    "recomputed": recomputed,
    "encoding-0": lambda: encoding(0),
    "encoding-4": lambda: encoding(4),
}
WARM_UP = {"cached": 40, "recomputed": 0, "encoding-0": 20, "encoding-4": 20}
FACTS = {"memory": memory, "limits": limits}


def facts(name: str, platform: str = "cpu") -> dict[str, Any]:
    """What a process of its own finds out."""
    worker = Worker(__file__, "--work", name, platform=platform)
    text, _ = worker.process.communicate()
    if worker.process.returncode:
        raise subprocess.CalledProcessError(worker.process.returncode, worker.command)
    return json.loads(text)


def turns(sizes: dict[str, int], rounds: int, platform: str = "cpu") -> dict[str, list[tuple[float, float]]]:
    """(units per CPU-second, units per second) of each contender, turn by turn."""
    workers = {name: Worker(__file__, "--work", name, platform=platform) for name in sizes}
    try:
        for worker in workers.values():
            worker.wait()
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in sizes}
        for _ in range(rounds):
            for name, worker in workers.items():
                rates[name].append(worker.measure(sizes[name]))
        return rates
    finally:
        for worker in workers.values():
            worker.close()


def middle(rates: list[tuple[float, float]], column: int = 0) -> float:
    """Median of one column."""
    return statistics.median(rate[column] for rate in rates)


def bounds(rate: float, unit: str, where: dict[str, Any]) -> list[report.Result]:
    """The limits of a device beside the rate that was measured there."""
    operations, traffic = cost()
    rows = []
    for name, best, needed, scale, per in (
        ("products", where["flops"], operations, 1e9, "GFLOP/s"),
        ("memory traffic", where["bytes"], traffic, 1e9, "GB/s"),
    ):
        limit = best / needed
        rows.append(
            report.result(
                f"limit by {name}, {where['device']} ({best / scale:.3g} {per})",
                round(limit, 1),
                unit,
                needed=needed,
                reached=round(rate / limit, 4),
            )
        )
    return rows


def measure(arguments: argparse.Namespace) -> list[report.Result]:
    """All figures."""
    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    sizes = {"cached": 400, "recomputed": 1} if arguments.quick else {"cached": 1200, "recomputed": 4}
    rates = turns(sizes, rounds)
    ours, theirs = middle(rates["cached"]), middle(rates["recomputed"])
    spread = [round(f(rate[0] for rate in rates["cached"]), 1) for f in (min, max)]
    results = [
        report.result(
            "critic updates from cached features",
            round(ours, 1),
            "1/CPU-s",
            target=250,
            peer="ResNet-10 run again",
            peer_value=round(theirs, 4),
            spread=spread,
        ),
        report.result("cached against recomputed", round(ours / theirs, 1), "x", target=300),
        *bounds(ours, "1/CPU-s", facts("limits")),
    ]
    pairs = 50 if arguments.quick else 200
    rates = turns({"encoding-0": pairs, "encoding-4": pairs}, rounds)
    for crops, target in ((0, 5.0), (4, 15.0)):
        share = 100.0 * RATE / middle(rates[f"encoding-{crops}"])
        name = f"encoding two cameras at 10 Hz, {crops} crops"
        results.append(report.result(name, round(share, 2), "% of a core", "lower", target))
    used = facts("memory")
    results += [
        report.result("replay of a transition", used["bytes"], "bytes", "lower", 3000),
        report.result("replay of a transition, 4 crops", used["bytes_crops"], "bytes", "lower", 17000),
        report.result(
            "memory of 100,000 + 20,000 transitions", round(used["megabytes"], 1), "MB", "lower", 500
        ),
    ]
    device = facts("limits", platform="")
    if device["device"] != "cpu":
        rate = middle(turns({"cached": 4000}, rounds, platform="")["cached"], column=1)
        name = f"critic updates from cached features, {device['device']}"
        results += [report.result(name, round(rate, 1), "1/s"), *bounds(rate, "1/s", device)]
    return results


if __name__ == "__main__":
    if sys.argv[1:2] != ["--work"]:
        sys.exit(report.main("pixels", __doc__, measure))
    if sys.argv[2] in FACTS:
        print(json.dumps(FACTS[sys.argv[2]]()))
    else:
        serve(WORK[sys.argv[2]](), WARM_UP[sys.argv[2]])
