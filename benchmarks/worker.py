"""Contenders as processes of their own, with one compute thread each, that do their work in turns.

A benchmark starts itself again for each contender; that process calls `serve`, the first one holds a
`Worker`. Turn by turn, so that other load on the machine hits all of them alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # With more threads, JAX spends half as much CPU time again for the same wall time.
    "PJRT_NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def serve(run: Callable[[int], int], warm_up: int) -> None:
    """Do `warm_up` units of work, say so, then answer each number on standard input.

    `run` does at least so many units and returns how many; the answer is (units, CPU s, wall s).
    """
    run(warm_up)
    _say("ready")
    for line in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        done = run(int(line))
        _say(json.dumps((done, time.process_time() - cpu, time.perf_counter() - wall)))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Worker:
    """The process of one contender.

    Args:
        script: The benchmark.
        arguments: What it is started with.
        platform: What JAX computes on there: "cpu", or "" for the best that is at hand.
    """

    def __init__(self, script: str, *arguments: str, platform: str = "cpu") -> None:
        environment = os.environ | ENVIRONMENT
        if platform:
            environment["JAX_PLATFORMS"] = platform
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
        self.command = [sys.executable, script, *arguments]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.command)} ended with {self.process.wait()}")
        return line

    def wait(self) -> None:
        """Return when the process is warm."""
        self._read()

    def measure(self, units: int) -> tuple[float, float]:
        """Units per CPU-second and per second of one turn."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{units}\n")
        self.process.stdin.flush()
        done, cpu, wall = json.loads(self._read())
        return done / cpu, done / wall

    def close(self) -> None:
        """End the process."""
        self.process.communicate()
