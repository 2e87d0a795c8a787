"""Command-line arguments: a command's own options and, below them, all settings of its task."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro

from robot_rl.cli.words import check_seed, take_option
from robot_rl.cli.words import default_out as default_out
from robot_rl.core.config import load_yaml
from robot_rl.core.errors import ConfigError, nearest
from robot_rl.tasks import FLIGHTS, PIXELS, TASKS, load

if TYPE_CHECKING:
    from robot_rl.tasks.arm import ArmTaskConfig

OTHERS = {"train": FLIGHTS, "up": {"crazyflie": "fly a Crazyflie, real or emulated"}}
"""What a command also takes in the place of a task's name, and what it is about."""

Options = TypeVar("Options")
Settings = TypeVar("Settings")


def parse(
    options: type[Options], argv: list[str], command: str, description: str, default: Options | None = None
) -> Options:
    """Parse the options of a command that has no task; `default` takes the place of the type's defaults."""
    defaults: dict[str, Any] = {} if default is None else {"default": default}
    parsed = tyro.cli(options, args=argv, prog=f"robot-rl {command}", description=description, **defaults)
    check_seed(getattr(parsed, "seed", 0))
    return parsed


def parse_with_task(
    options: type[Options], argv: list[str], command: str, description: str, task: str | None = None
) -> tuple[str, Options, ArmTaskConfig]:
    """Parse `TASK [options] [--section.setting value]`.

    Settings come from the task's defaults, then from `--config FILE`, then from the command line. With `task`
    given, the command has no positional task.
    """
    rest = list(argv)
    if task is None:
        named = TASKS | OTHERS.get(command, {})
        if not rest or rest[0].startswith("-"):
            if rest and rest[0] in ("-h", "--help"):
                tasks = "\n".join(f"  {name:<22} {text}" for name, text in named.items())
                sys.stdout.write(
                    f"usage: robot-rl {command} TASK [options] [settings]\n\n"
                    f"{description}\n\ntasks:\n{tasks}\n\n"
                    f"`robot-rl {command} TASK --help` lists all options and settings.\n"
                )
                raise SystemExit(0)
            raise ConfigError(f"which task? robot-rl {command} TASK, where TASK is one of {', '.join(named)}")
        task = rest.pop(0)
        if task.partition(":")[0] not in named:
            raise ConfigError(f"unknown task {task!r}: {nearest(task, named)}")
    rest, seen = take_option(rest, "--obs")
    if seen not in (None, "state", PIXELS):
        raise ConfigError(f"--obs {seen!r} is not valid: state (tracked poses) or {PIXELS} (cameras)")
    if seen == PIXELS and ":" not in task:
        task = f"{task}:{PIXELS}"
    description += " --obs state|pixels chooses between tracked poses and cameras."
    return task, *parse_with_settings(options, load(task), rest, f"{command} {task}", description)


def parse_with_settings(
    options: type[Options], settings: Settings, argv: list[str], command: str, description: str
) -> tuple[Options, Settings]:
    """Parse `[options] [--section.setting value]`.

    Settings come from those given, then from `--config FILE`, then from the command line.
    """
    rest, file = take_option(argv, "--config")
    if file is not None:
        settings = load_yaml(type(settings), Path(file), settings)
    parser: Any = dataclasses.make_dataclass(
        "Arguments",
        [
            ("options", Annotated[options, tyro.conf.arg(name="")]),
            (
                "settings",
                Annotated[type(settings), tyro.conf.arg(name="")],
                dataclasses.field(default=settings),
            ),
        ],
    )
    parsed = tyro.cli(
        parser,
        args=rest,
        prog=f"robot-rl {command}",
        description=f"{description} --config FILE reads settings from a YAML file.",
    )
    check_seed(getattr(parsed.options, "seed", 0))
    return parsed.options, parsed.settings
