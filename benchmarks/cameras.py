"""What the simulated cameras cost: pairs of 128 x 128 pictures, wrist and side, per CPU-second.

A pair is what learning from pixels draws at every control tick: the puppet is posed after an arm that is
elsewhere each time, and both cameras are drawn and read back. With a new look, colours, light, mounts and two
distractors change before each pair, as in the training data of encoders. The peer draws the same arm with its
meshes, as films do. OpenGL runs in software where there is no GPU: EGL in this process, OSMesa in one of its
own, since PyOpenGL keeps the first library that it was loaded for. All take turns; figures are medians over
rounds, in CPU time of all threads.
"""

from __future__ import annotations

import argparse
import ctypes.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import report

from robot_rl.core.types import ArmState, Episode, Mode, Pose
from sim.arm.cameras import TableCameras
from sim.arm.looks import draw_look
from sim.arm.render import Renderer
from sim.arm.simulated_arm import SimulatedArm

SCENES = 20


class Bench:
    """Cameras, and states of the arm for them to draw."""

    def __init__(self) -> None:
        self.arm = SimulatedArm()
        self.cameras = TableCameras(self.arm.config)
        self.scenes: list[tuple[ArmState, Mapping[str, Pose]]] = []
        for seed in range(SCENES):
            state = self.arm.reset(Episode(seed, seed, Mode.EVAL))
            self.scenes.append((state, self.arm.truth()))

    def pairs(self, count: int) -> float:
        """Pairs per CPU-second, one look."""
        return rate(lambda i: self.cameras.render(*self.scenes[i % SCENES]), count)

    def looks(self, count: int) -> float:
        """Pairs per CPU-second, each with a new look."""

        def draw(i: int) -> None:
            state, objects = self.scenes[i % SCENES]
            self.cameras.set_look(draw_look(i, 1.0, 2, self.arm.config.scene, objects))
            self.cameras.render(state, objects)

        return rate(draw, count)

    def meshes(self, count: int) -> float:
        """Pairs per CPU-second of the film's renderer."""
        renderers = [Renderer(self.arm, 128, 128, camera) for camera in ("wrist", "side")]
        figure = rate(lambda _: [renderer.render() for renderer in renderers], count)
        for renderer in renderers:
            renderer.close()
        return figure


def rate(call: Callable[[int], object], count: int) -> float:
    """Calls per CPU-second, after some that are not counted."""
    for i in range(count // 10):
        call(i)
    began = time.process_time()
    for i in range(count):
        call(i)
    return count / (time.process_time() - began)


def osmesa(count: int) -> float:
    """Pairs per CPU-second with OSMesa, in a process of its own."""
    code = f"import cameras; bench = cameras.Bench(); print(bench.pairs({count})); bench.cameras.close()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env=os.environ | {"PYOPENGL_PLATFORM": "osmesa"},
    )
    return float(done.stdout.split()[-1])


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """Measure for as long as was asked for."""
    rounds, count = (3, 100) if arguments.quick else (7, 400)
    bench = Bench()
    cases: dict[str, Callable[[], float]] = {
        "pairs": lambda: bench.pairs(count),
        "looks": lambda: bench.looks(count),
        "meshes": lambda: bench.meshes(count // 10),
    }
    if ctypes.util.find_library("OSMesa"):
        cases["osmesa"] = lambda: osmesa(count)
    turns: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            turns[name].append(case())
    bench.cameras.close()
    value = {name: round(statistics.median(figures), 1) for name, figures in turns.items()}
    peer, unit = "with meshes, as in films", "1/CPU-s"
    rows = [
        report.result(
            "pairs of pictures", value["pairs"], unit, target=400.0, peer=peer, peer_value=value["meshes"]
        ),
        report.result("pairs of pictures, each with a new look", value["looks"], unit),
    ]
    if "osmesa" in value:
        rows.append(report.result("pairs of pictures, OSMesa", value["osmesa"], unit, target=400.0))
    return rows


if __name__ == "__main__":
    sys.exit(report.main("cameras", __doc__, run))
