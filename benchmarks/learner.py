"""Critic updates per CPU-second of the learner, beside sbx-rl (JAX SAC of the Stable-Baselines3 family).

Both learn SAC on state observations: 20 dimensions, 7 actions, hidden 256x2, batch 256, layer-normalised
critics, replay sampling and target updates included. At UTD 20 there is one actor and temperature step for
20 critic steps (sbx-rl: policy_delay 20), at UTD 1 one for each. With 10 critics our TD target is the minimum
over a random pair (RLPD); sbx-rl has no subset and takes all ten.

Each contender is a process of its own with one compute thread. All take turns, round after round, so that
other load on the machine hits them alike; a figure is the median over the rounds of updates per second of
process CPU time. `pip install robot-rl[bench]` brings sbx-rl.
"""

# The peer comes with the extra `bench`, which a developer need not have.
# pyright: reportMissingImports=false
from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Callable
from typing import Any

import report
from worker import Worker, serve

OBSERVATIONS, ACTIONS, BATCH, HIDDEN = 20, 7, 256, (256, 256)
CELLS = ((2, 20), (10, 20), (2, 1), (10, 1))
"""(critics, UTD ratio)."""
BLOCK = 10
"""Environment steps for each call of either learner."""
CONTENDERS = ("ours", "sbx")


def ours(critics: int, utd: int) -> Callable[[int], int]:
    """A function that does at least n critic updates and returns how many."""
    import numpy as np

    from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
    from robot_rl.core.types import Key, Source, Transition
    from robot_rl.learn.learner import Learner
    from robot_rl.learn.settings import LearnerConfig

    spec = EnvSpec(
        Spec.of({"state": ArraySpec((OBSERVATIONS,))}), ArraySpec((ACTIONS,), low=-1.0, high=1.0), 10.0
    )
    config = LearnerConfig(
        hidden=HIDDEN,
        critics=critics,
        critic_subset=2,
        utd_ratio=utd,
        batch_size=BATCH,
        block=BLOCK,
        demonstrations=0,
        learning_starts=0,
        bc_weight_start=0.0,
        bc_weight_end=0.0,
    )
    learner = Learner(spec, config, seed=0)
    rng = np.random.default_rng(0)

    def transition(n: int) -> Transition:
        observation = {"state": rng.standard_normal(OBSERVATIONS, np.float32)}
        following = {"state": rng.standard_normal(OBSERVATIONS, np.float32)}
        action = rng.uniform(-1, 1, ACTIONS).astype(np.float32)
        return Transition(
            key=Key("bench", 0, n),
            episode=0,
            step=n,
            observation=observation,
            action=action,
            proposal=action,
            reward=float(rng.random()),
            penalty=0.0,
            terminated=False,
            truncated=False,
            next_observation=following,
            source=Source.POLICY,
            policy_version=1,
            stamp=0,
        )

    transitions = [transition(n) for n in range(10_000)]
    taken = 0

    def run(updates: int) -> int:
        nonlocal taken
        blocks = -(-updates // (BLOCK * utd))
        for _ in range(blocks * BLOCK):
            learner.add(transitions[taken % len(transitions)])
            taken += 1
        learner.weights()
        return blocks * BLOCK * utd

    return run


def sbx(critics: int, utd: int) -> Callable[[int], int]:
    """The same for sbx-rl's SAC."""
    import gymnasium
    import numpy as np
    import torch
    from sbx import SAC
    from stable_baselines3.common.logger import Logger

    torch.set_num_threads(1)

    class Space(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-10, 10, (OBSERVATIONS,), np.float32)
        action_space = gymnasium.spaces.Box(-1, 1, (ACTIONS,), np.float32)

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            return np.zeros(OBSERVATIONS, np.float32), {}

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            return np.zeros(OBSERVATIONS, np.float32), 0.0, False, False, {}

    model = SAC(
        "MlpPolicy",
        Space(),
        learning_rate=3e-4,
        buffer_size=20_000,
        batch_size=BATCH,
        gradient_steps=utd,
        policy_delay=utd,
        policy_kwargs={"net_arch": list(HIDDEN), "layer_norm": True, "n_critics": critics},
        seed=0,
    )
    model.set_logger(Logger(None, []))
    rng = np.random.default_rng(0)
    buffer: Any = model.replay_buffer
    for _ in range(10_000):
        buffer.add(
            rng.standard_normal((1, OBSERVATIONS), np.float32),
            rng.standard_normal((1, OBSERVATIONS), np.float32),
            rng.uniform(-1, 1, (1, ACTIONS)).astype(np.float32),
            rng.random(1, np.float32),
            np.zeros(1),
            [{}],
        )
    steps = BLOCK * utd

    def run(updates: int) -> int:
        calls = -(-updates // steps)
        for _ in range(calls):
            model.train(gradient_steps=steps, batch_size=BATCH)
        return calls * steps

    return run


def work(contender: str, critics: int, utd: int) -> None:
    """A contender's process."""
    serve({"ours": ours, "sbx": sbx}[contender](critics, utd), BLOCK * utd)


def compare(critics: int, utd: int, rounds: int, seconds: float) -> list[report.Result]:
    """Median rates of both contenders in one cell, taking turns."""
    contenders = {name: Worker(__file__, "--work", name, str(critics), str(utd)) for name in CONTENDERS}
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    walls: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    try:
        for contender in contenders.values():
            contender.wait()
        sizes = {n: max(1, round(c.measure(BLOCK * utd)[0] * seconds)) for n, c in contenders.items()}
        for _ in range(rounds):
            for name, contender in contenders.items():
                cpu_rate, wall_rate = contender.measure(sizes[name])
                rates[name].append(cpu_rate)
                walls[name].append(wall_rate)
    finally:
        for contender in contenders.values():
            contender.close()
    results = []
    for unit, table, required in (("1/CPU-s", rates, True), ("1/s", walls, False)):
        mine, peer = (round(statistics.median(table[name]), 1) for name in CONTENDERS)
        results.append(
            report.result(
                f"critic updates, {critics} critics, UTD {utd}",
                mine,
                unit,
                target=peer if required else None,
                peer="sbx-rl",
                peer_value=peer,
                spread=[round(min(table["ours"]), 1), round(max(table["ours"]), 1)],
                peer_spread=[round(min(table["sbx"]), 1), round(max(table["sbx"]), 1)],
            )
        )
    return results


def measure(arguments: argparse.Namespace) -> list[report.Result]:
    """All cells, for as long as was asked for."""
    if importlib.util.find_spec("sbx") is None:
        raise SystemExit("sbx-rl is not installed; the comparison needs it: pip install robot-rl[bench]")
    rounds, seconds = (3, 0.4) if arguments.quick else (9, 2.0)
    return [row for cell in CELLS for row in compare(*cell, rounds, seconds)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(report.main("learner", __doc__, measure))
