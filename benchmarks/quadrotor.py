"""What learning to fly costs, and how well it flies: the simulator's throughput.

Figures are per CPU-second of one core, medians over rounds in which all cases take turns.
"""

from __future__ import annotations

import argparse
import sys

from robot_rl.learn.compile import use_one_thread

# Before anything else uses JAX.
use_one_thread()

import quadrotor_speed  # noqa: E402
import report  # noqa: E402


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """Measure for as long as was asked for."""
    return quadrotor_speed.simulator(arguments.quick)


if __name__ == "__main__":
    sys.exit(report.main("quadrotor", __doc__, run))
