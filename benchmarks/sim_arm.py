"""What the simulated arm costs: environment steps per CPU-second in both engines, and the control law's tick.

An environment step is 0.1 s of simulated time: a command through the safety limits, 100 physics steps at
1 kHz, 50 ticks of control law and safety monitor, the tracker, and the state at the end. The work is picking
the cube again and again, resets included, as a third of the time there are twice as many contacts as in free
motion. The engines take turns; figures are medians over rounds, in CPU time of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from robot_rl.control.impedance import ImpedanceGains, ImpedanceLaw
from robot_rl.core.frames import swing_twist
from robot_rl.core.types import ArmCommand, Episode, Mode, Pose
from sim.arm.scene import tool_down
from sim.arm.simulated_arm import Backend, SimulatedArm

STEPS_OF_AN_EPISODE = 25


def pick(arm: SimulatedArm, seed: int) -> bool:
    """One scripted episode; whether the cube was lifted."""
    state = arm.reset(Episode(seed, seed, Mode.EVAL))
    cube = arm.truth()["cube"]
    yaw = (swing_twist(cube.quaternion)[1] + np.pi / 4) % (np.pi / 2) - np.pi / 4
    x, y, _ = cube.position.tolist()
    for i in range(STEPS_OF_AN_EPISODE):
        height, close = (0.10, False) if i < 10 else (0.023, i >= 14) if i < 17 else (0.2, True)
        state = arm.step(ArmCommand(state.stamp, tool_down(np.array([x, y, height]), yaw), close))
    return bool(arm.truth()["cube"].position[2] > 0.1)


def env_steps(arm: SimulatedArm, episodes: int) -> float:
    """Environment steps per CPU-second."""
    began = time.process_time()
    lifted = sum(pick(arm, seed) for seed in range(episodes))
    elapsed = time.process_time() - began
    if lifted < 0.8 * episodes:
        raise RuntimeError(f"only {lifted} of {episodes} scripted episodes lifted the cube")
    return STEPS_OF_AN_EPISODE * episodes / elapsed


def per_call(call: Callable[[], object], count: int) -> float:
    """CPU time of a call [us]."""
    began = time.process_time()
    for _ in range(count):
        call()
    return 1e6 * (time.process_time() - began) / count


def measure(rounds: int, episodes: int, calls: int) -> list[dict[str, Any]]:
    """Medians over the rounds, in which all cases take turns."""
    backends: tuple[Backend, ...] = ("mujoco", "pybullet")
    arms = {backend: SimulatedArm(backend=backend) for backend in backends}
    still = SimulatedArm()
    still.reset(Episode(0, 0, Mode.EVAL))
    law, state = ImpedanceLaw(ImpedanceGains(), 0.002), still.plant.read()
    memory, goal = law.start(state), Pose(state.position + 0.01, state.quaternion.copy())
    now = still.clock.now()
    cases: dict[str, Callable[[], float]] = {
        "mujoco": lambda: env_steps(arms["mujoco"], episodes),
        "pybullet": lambda: env_steps(arms["pybullet"], max(episodes // 5, 1)),
        "law": lambda: per_call(lambda: law(memory, state, goal), calls),
        "monitor": lambda: per_call(lambda: still.safety.monitor(state, now, now), calls),
        "read": lambda: per_call(still.plant.read, calls),
        "physics": lambda: per_call(lambda: still.plant.advance(2), calls) / 2,
        "reset": lambda: per_call(lambda: still.reset(Episode(0, 1, Mode.EVAL)), max(calls // 100, 1)),
    }
    turns: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            turns[name].append(case())
    for arm in arms.values():
        arm.close()
    value = {name: statistics.median(figures) for name, figures in turns.items()}
    return [
        _row("environment steps", value["mujoco"], "1/CPU-s", 400.0, value["pybullet"]),
        _row("control law, one tick", value["law"], "us", 20.0),
        _row("safety monitor, one tick", value["monitor"], "us"),
        _row("read the plant, one tick", value["read"], "us"),
        _row("physics step", value["physics"], "us"),
        _row("reset", value["reset"], "us"),
    ]


def _row(
    metric: str, value: float, unit: str, target: float | None = None, peer_value: float | None = None
) -> dict[str, Any]:
    higher = unit == "1/CPU-s"
    met = None if target is None else value >= target if higher else value <= target
    return {
        "metric": metric,
        "value": round(value, 2),
        "unit": unit,
        "better": "higher" if higher else "lower",
        "target": target,
        "met": met,
        "peer": "PyBullet" if peer_value is not None else None,
        "peer_value": round(peer_value, 2) if peer_value is not None else None,
        "ratio": round(value / peer_value, 2) if peer_value is not None else None,
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--quick", action="store_true", help="a sanity run")
    arguments = parser.parse_args()
    rounds, episodes, calls = (3, 10, 1000) if arguments.quick else (9, 40, 10_000)
    results = measure(rounds, episodes, calls)
    if arguments.json:
        machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        print(json.dumps({"benchmark": "sim_arm", "machine": machine, "results": results}))
    else:
        for row in results:
            bound = "at least" if row["better"] == "higher" else "at most"
            target = f"   ({bound} {row['target']:g})" if row["target"] else ""
            peer = f"   {row['peer']}: {row['peer_value']:g}" if row["peer"] else ""
            print(f"{row['metric']:26} {row['value']:9.2f} {row['unit']}{target}{peer}")
    return 1 if arguments.check and any(row["met"] is False for row in results) else 0


if __name__ == "__main__":
    sys.exit(main())
