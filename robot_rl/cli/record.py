"""`robot-rl record TASK`: demonstrations, or what is labelled, as episode logs.

The scripted person records in this process, an operator through the graph (`robot_rl.cli.record_live`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from policies.scripted import HoldStill
from robot_rl.cli import record_live
from robot_rl.cli.arguments import default_out, parse_with_task
from robot_rl.cli.report import percent, print_json, print_table, steps
from robot_rl.core.config import replace
from robot_rl.core.errors import ConfigError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.data.run_directory import RunDirectory
from robot_rl.env.runner import EpisodeRunner
from robot_rl.env.session import LABEL_SEEDS, SEED_STRIDE, evaluate
from robot_rl.env.vision import intrinsics_of


@dataclass(frozen=True)
class RecordOptions:
    """Options of `robot-rl record`."""

    device: str = "script"
    """Who records: "script", the scripted person; or an operator with console, spacemouse, spacenav, gamepad,
    keyboard or leader in her hand. "spacemouse:1" is the second one, "keyboard" that of this terminal."""
    episodes: int = 20
    """Episodes to record: of the script failed ones included, of an operator those that she keeps."""
    labels: bool = False
    """Record success and deliberate failure in turn, with the keys that are held, for a reward classifier
    (robot-rl train-classifier); needs --obs pixels."""
    console: bool = False
    """Serve the operator's web page, and say where; it is served for --device console in any case."""
    console_host: str = "127.0.0.1"
    """Address to serve it on; others than this machine's own make a token that the page asks for."""
    console_port: int = 8080
    """Port to serve it on; 0: any that is free."""
    seed: int = 0
    """Seeds the scenes and the scripted person."""
    out: Path | None = None
    """Directory of the recording; by default a new one below runs/."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    task, options, config = parse_with_task(
        RecordOptions,
        argv,
        "record",
        "Record demonstrations of the scripted person, without ROS, or of an operator, through the graph.",
    )
    if options.episodes < 1:
        raise ConfigError(f"--episodes must be at least 1, not {options.episodes}")
    if options.labels and not config.cameras:
        raise ConfigError("labels are for a classifier that looks through cameras: add --obs pixels")
    if config.reward == "classifier" and not config.classifier.directory:
        if not options.labels:
            raise ConfigError(
                "--reward classifier needs --classifier.directory: demonstrations end when it sees success"
            )
        config = replace(config, {"reward": "person"})  # labels are what a classifier is made from
    what = "labels" if options.labels else "demonstrations"
    out = options.out or default_out(f"{task}-{what}")
    if options.device != "script":
        wanted = record_live.Recording(
            task,
            out,
            options.device,
            options.episodes,
            options.labels,
            options.seed,
            options.console,
            options.console_host,
            options.console_port,
        )
        return record_live.run(wanted, config, options.json)
    directory = RunDirectory.create(out, config, task, options.seed)
    results: list[EpisodeResult] = []
    with ExitStack() as stack:
        env, arm = config.simulate()
        stack.callback(env.close)
        seen_by = intrinsics_of(env.vision)
        recorder = stack.enter_context(EpisodeRecorder(directory.episodes, env.spec, seen_by))
        runner = EpisodeRunner(env, lambda _: None, arm, recorder)
        still = HoldStill(env.spec.action)
        for index in range(options.episodes):
            mode, first = (Mode.LABEL, LABEL_SEEDS) if options.labels else (Mode.DEMO, 0)
            episode = Episode(index, options.seed * SEED_STRIDE + first + index, mode)
            result = runner.run(episode, lambda: still)
            if result.fault:
                arm.recover()
            results.append(result)
    evaluation = evaluate(0, results)
    report = {
        "task": task,
        "out": str(out),
        "episodes": evaluation.episodes,
        "success_rate": evaluation.success_rate,
        "success_length": evaluation.mean_steps if evaluation.successes else None,
    }
    if options.json:
        print_json(report)
        return 0
    print_table(
        f"{what} of {task}",
        [
            ("success", percent(evaluation.success_rate)),
            ("length of a success", steps(report["success_length"])),
            ("episodes", str(evaluation.episodes)),
        ],
    )
    print(f"logs     {directory.episodes}")
    return 0
