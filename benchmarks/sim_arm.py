"""What the simulated arm costs: environment steps per CPU-second in both engines, and the control law's tick.

An environment step is 0.1 s of simulated time: a command through the safety limits, 100 physics steps at
1 kHz, 50 ticks of control law and safety monitor, the tracker, and the state at the end. The work is picking
the cube again and again, resets included, as a third of the time there are twice as many contacts as in free
motion. The engines take turns; figures are medians over rounds, in CPU time of one core.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import report

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


def measure(rounds: int, episodes: int, calls: int) -> list[report.Result]:
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
    steps = round(value["mujoco"], 1)
    return [
        report.result(
            "environment steps, MuJoCo",
            steps,
            "1/CPU-s",
            target=400.0,
            peer="PyBullet backend",
            peer_value=round(value["pybullet"], 1),
        ),
        report.result("control law, one tick", round(value["law"], 2), "us", "lower", 20.0),
        report.result("safety monitor, one tick", round(value["monitor"], 2), "us", "lower"),
        report.result("read the plant, one tick", round(value["read"], 2), "us", "lower"),
        report.result("physics step", round(value["physics"], 2), "us", "lower"),
        report.result("reset", round(value["reset"], 2), "us", "lower"),
    ]


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """Measure for as long as was asked for."""
    return measure(3, 10, 1000) if arguments.quick else measure(9, 40, 10_000)


if __name__ == "__main__":
    sys.exit(report.main("sim_arm", __doc__, run))
