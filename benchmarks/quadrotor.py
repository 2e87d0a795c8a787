"""All figures of the quadrotors: simulators, training, the paper's recipe, and the firmware.

    python benchmarks/quadrotor.py [--json] [--check] [--quick] [--seeds 10]

Throughput is per CPU-second of one core, medians over rounds in which all cases take turns, l2f among them
where it is installed. Trainings are kept by seed in `benchmarks/results/quadrotor/`, so that a run trains
only what is not there yet; `flight_training.py`, `flight_paper.py`, `flight_bound.py` and
`quadrotor_firmware.py` measure one part alone. With --quick one short training of each kind stands for them.
"""

from __future__ import annotations

import argparse
import sys

import flight_bound
import flight_paper
import flight_training
import quadrotor_firmware
import quadrotor_speed
import report

from robot_rl.learn.compile import use_disk_cache, use_one_thread


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """Measure all; slow things last."""
    use_one_thread()  # before anything uses JAX
    use_disk_cache()
    return [
        *quadrotor_speed.simulator(arguments.quick),
        *quadrotor_firmware.firmware(arguments.quick),
        *flight_training.until_it_flies(),
        *([] if arguments.quick else flight_training.presets(range(arguments.seeds))),
        *flight_bound.kept(),
        *flight_paper.measure(arguments),
    ]


def main() -> int:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to N - 1 of each training")
    arguments = parser.parse_args()
    return report.finish("quadrotor", run(arguments), arguments)


if __name__ == "__main__":
    sys.exit(main())
