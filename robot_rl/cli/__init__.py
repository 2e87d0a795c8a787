"""The command line: `robot-rl COMMAND`.

Each command is a module here with a `main(argv) -> exit status`, loaded when it is called, so that
`robot-rl --help` is instant. Exit status 0 means that it did what it was asked.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from robot_rl import __version__
from robot_rl.cli.interrupts import interrupts_heard
from robot_rl.cli.words import take_option
from robot_rl.core.errors import RobotRlError, nearest
from robot_rl.core.siblings import check_siblings
from robot_rl.tasks import FLIGHTS

COMMANDS = {
    "demo": ("demo", "teach the simulated Franka to pick up a cube, through the ROS 2 graph"),
    "demo-pixels": ("demo_pixels", "the same from two cameras, with a reward learned from labelled pictures"),
    "train": ("train", "train a task in this process, without ROS"),
    "eval": ("evaluate", "evaluate a policy bundle, nobody helping"),
    "up": ("up", "start the ROS 2 graph of a task"),
    "console": ("console", "serve the operator's web page for a graph that runs"),
    "record": ("record", "record demonstrations or labels: of the scripted person, or with a device in hand"),
    "label": ("label", "see and correct the labels of a run, for a reward classifier"),
    "train-classifier": ("train_classifier", "train a reward classifier from the labels of a run"),
    "rebuild": ("rebuild", "make of a run one for another encoder, from the pictures in its logs"),
    "data": ("data", "list, show, trim, relabel, merge, export and import data sets"),
    "export": ("export", "write a policy as a C header for a microcontroller, or as an ONNX model"),
    "calibrate": ("calibrate", "identify a quadrotor from logs of its flights"),
    "fly": ("fly", "teach a quadrotor to hover in seconds, and fly it as a microcontroller would"),
    "bench": ("bench", "run a benchmark of the source tree"),
    "doctor": ("doctor", "say what is missing on this machine and how to get it"),
}
"""Command: module below `robot_rl.cli`, what it does."""

READER_GONE = 141
"""Exit status when nobody reads the output any more, as in `robot-rl --help | head -1`: 128 + SIGPIPE."""


def main(argv: list[str] | None = None) -> int:
    """Entry point of `robot-rl`."""
    try:
        try:
            with interrupts_heard():
                return _run(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer has nowhere to go; Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"robot-rl {__version__}")
        return 0
    command = arguments[0]
    if command not in COMMANDS:
        print(f"robot-rl: unknown command {command!r}: {nearest(command, COMMANDS)}", file=sys.stderr)
        return 2
    try:
        check_siblings()
        module = importlib.import_module(f"robot_rl.cli.{_module(command, arguments[1:])}")
        return module.main(arguments[1:])
    except RobotRlError as error:
        print(f"robot-rl {command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:  # no file that the user could have named
            raise
        print(f"robot-rl {command}: cannot use {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nrobot-rl {command}: interrupted", file=sys.stderr)
        return 130


def _module(command: str, arguments: list[str]) -> str:
    """The module of a command; tasks of flying have their own, which need no robot and load in no time."""
    if command == "train" and arguments and arguments[0] in FLIGHTS:
        return "train_flight"
    if command == "eval" and _policy_task(arguments) in FLIGHTS:
        return "evaluate_flight"
    return COMMANDS[command][0]


def _policy_task(arguments: list[str]) -> str | None:
    """The task of the policy that `--policy DIR` names; raises `PolicyError` where there is none."""
    _, directory = take_option(arguments, "--policy")
    if directory is None:
        return None
    try:
        return json.loads((Path(directory) / "policy.json").read_bytes())["spec"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        from policies.bundle import load_bundle  # which says what is wrong

        return load_bundle(Path(directory)).spec.name


def usage() -> str:
    """The text of `robot-rl --help`."""
    lines = [
        f"robot-rl {__version__}: teach real robots by demonstration, correction and practice",
        "",
        "usage: robot-rl COMMAND [options]      (robot-rl COMMAND --help says more)",
        "",
    ]
    width = max(map(len, COMMANDS))
    lines += [f"  {name:<{width}} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(lines)
