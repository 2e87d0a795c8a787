"""Words of a command line that are read before its settings are known."""

from __future__ import annotations

import time
from pathlib import Path

from robot_rl.core.errors import ConfigError


def take_option(argv: list[str], name: str) -> tuple[list[str], str | None]:
    """The words without the option `name` and its value, and that value; None where it is not given."""
    for i, word in enumerate(argv):
        if word == name:
            if i + 1 == len(argv):
                raise ConfigError(f"{name} needs a value")
            return argv[:i] + argv[i + 2 :], argv[i + 1]
        if word.startswith(name + "="):
            return argv[:i] + argv[i + 1 :], word.partition("=")[2]
    return argv, None


def check_seed(seed: int) -> None:
    """Refuse a seed that chance cannot be drawn from."""
    if not 0 <= seed < 2**31:
        raise ConfigError(f"--seed must be from 0 to {2**31 - 1}, not {seed}")


def default_out(task: str) -> Path:
    """A fresh directory below `runs/`, named by task and time."""
    return Path("runs") / f"{task.replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
