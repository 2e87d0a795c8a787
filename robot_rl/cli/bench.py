"""`robot-rl bench NAME`: run a benchmark of the source tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from robot_rl.core.errors import ConfigError, nearest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def main(argv: list[str]) -> int:
    """Run the command: the benchmark's own options follow its name."""
    if not FOLDER.is_dir():
        raise ConfigError(
            f"no benchmarks here ({FOLDER}): they come with the source tree, not with the wheel"
        )
    names = sorted(path.stem for path in FOLDER.glob("*.py"))
    if not argv or argv[0] in ("-h", "--help"):
        print(
            "usage: robot-rl bench NAME [--json] [--check] [--quick]\n\n"
            "--json prints one JSON object, --check exits 1 when a target is missed,\n"
            "--quick is a sanity run.\n\n"
            f"benchmarks: {', '.join(names)}"
        )
        return 0 if argv else 2
    if argv[0] not in names:
        raise ConfigError(f"unknown benchmark {argv[0]!r}: {nearest(argv[0], names)}")
    return subprocess.run([sys.executable, str(FOLDER / f"{argv[0]}.py"), *argv[1:]], check=False).returncode
