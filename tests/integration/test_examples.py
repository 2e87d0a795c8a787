"""Every example runs, and prints what it promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = {
    "gymnasium_loop.py": (["--steps", "60"], r"60 steps, \d+ of them the person's"),
    "demonstrations_to_arrays.py": (["--episodes", "2"], r"\d+ steps of [12] successful demonstrations"),
    "own_policy.py": (["--episodes", "2"], r"2 of 2 goals reached"),
}


def test_every_example_is_run():
    elsewhere = {"crazyflie_square.py"}  # in tests/ros/test_crazyflie.py: it needs a graph
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(CASES) | elsewhere


@pytest.mark.parametrize("name", CASES)
def test_example(name):
    arguments, promised = CASES[name]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(promised, done.stdout), done.stdout
