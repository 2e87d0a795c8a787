"""`robot-rl eval --policy DIR`: how good is a policy, with nobody helping?"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from policies.bundle import load_bundle
from robot_rl.cli.arguments import parse
from robot_rl.cli.classifier_first import CLASSIFIER
from robot_rl.cli.report import percent, print_json, print_table, steps
from robot_rl.core.config import load_yaml, replace
from robot_rl.core.errors import ConfigError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.env.runner import EpisodeRunner
from robot_rl.env.session import FINAL_SEEDS, SEED_STRIDE, evaluate
from robot_rl.tasks import FLIGHTS, TASKS, load
from robot_rl.tasks.arm import ArmTaskConfig


@dataclass(frozen=True)
class EvalOptions:
    """Options of `robot-rl eval`."""

    policy: Path
    """Policy bundle, such as runs/a/policy."""
    episodes: int = 100
    """Episodes to play."""
    seed: int = 1000
    """Seeds the episodes; another one than the training's gives fresh episodes."""
    deterministic: bool = False
    """Act with the mean action instead of a sample."""
    backend: Literal["mujoco", "pybullet", ""] = ""
    """Physics engine, to evaluate in another than the policy was trained in; "" for the run's own."""
    look: float = 0.0
    """For a task seen through cameras: how far colours, light and camera poses are redrawn for each episode,
    in parts of the range that the encoder was trained on."""
    distractors: int = 0
    """For a task seen through cameras: things on the table that mean nothing."""
    config: Path | None = None
    """Settings; by default config.yaml beside the policy, else the task's defaults."""
    video: Path | None = None
    """Write a video of the first episodes to this MP4 file."""
    video_episodes: int = 5
    """Episodes in the video."""
    view: bool = False
    """Show the simulation in a window, in real time."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = parse(EvalOptions, argv, "eval", "Evaluate a policy bundle, nobody helping.")
    if options.episodes < 1:
        raise ConfigError(f"--episodes must be at least 1, not {options.episodes}")
    report = run(options)
    if options.json:
        print_json(report)
        return 0
    rows = [
        ("success, nobody helping", percent(report["success_rate"])),
        ("length of a success", steps(report["success_length"])),
        ("episodes", f"{report['successes']} of {report['episodes']} succeeded"),
        ("faults", f"{report['faults']}"),
        ("speed", f"{report['steps_per_s']:.0f} steps/s"),
    ]
    print_table(f"{report['task']} on {report['backend']}", rows)
    if options.video is not None:
        print(f"video    {options.video}")
    return 0


def run(options: EvalOptions) -> dict[str, Any]:
    """Play the episodes and return the report."""
    bundle = load_bundle(options.policy)
    config = settings_of(bundle.spec.name, options.policy, options.config)
    if options.backend:
        config = replace(config, {"backend": options.backend})
    config = replace(config, {"look": options.look, "distractors": options.distractors})
    bundle.spec.check_same(config.spec, f"the policy {options.policy}", "the task")
    policy = bundle.policy()
    results: list[EpisodeResult] = []
    total_steps = 0
    with ExitStack() as stack:
        env, arm = config.simulate(person=False)
        stack.callback(env.close)
        thresholds = config.thresholds()
        film = None
        if options.video is not None:
            from sim.arm.render import Film

            film = stack.enter_context(Film(arm, options.video, config.control_rate))
        viewer = None
        if options.view:
            from sim.arm.render import Viewer

            viewer = stack.enter_context(Viewer(arm))

        def on_step() -> None:
            nonlocal total_steps
            total_steps += 1
            if film is not None and len(results) < options.video_episodes:
                film.add(env.sight, thresholds)
            if viewer is not None:
                viewer.show()

        runner = EpisodeRunner(env, lambda _: None, arm)
        began = time.monotonic()
        for index in range(options.episodes):
            episode = Episode(index, options.seed * SEED_STRIDE + FINAL_SEEDS + index, Mode.EVAL)
            result = runner.run(episode, lambda: policy, options.deterministic, on_step)
            if result.fault:
                arm.recover()
            results.append(result)
        wall = time.monotonic() - began
    evaluation = evaluate(0, results)
    return {
        "task": bundle.spec.name,
        "policy": str(options.policy),
        "policy_version": bundle.version,
        "backend": config.backend,
        "seed": options.seed,
        "episodes": evaluation.episodes,
        "successes": evaluation.successes,
        "success_rate": evaluation.success_rate,
        "success_length": evaluation.mean_steps if evaluation.successes else None,
        "faults": sum(bool(result.fault) for result in results),
        "deterministic": options.deterministic,
        "peak_force_n": round(evaluation.peak_force, 1),
        "look": options.look,
        "distractors": options.distractors,
        "steps_per_s": round(total_steps / wall, 1),
    }


def settings_of(task: str, policy: Path, file: Path | None) -> ArmTaskConfig:
    """The settings that a policy was trained with: `file`, or those beside it, or the task's defaults."""
    if task.partition(":")[0] not in TASKS:
        raise ConfigError(f"the policy {policy} is for {task!r}; tasks here: {', '.join(TASKS | FLIGHTS)}")
    config = load(task)
    beside = policy.resolve().parent / "config.yaml"
    if file is None and beside.exists():
        file = beside
    if file is None:
        return config
    config = load_yaml(type(config), file, config)
    kept = file.resolve().parent / CLASSIFIER
    if config.classifier.directory and not Path(config.classifier.directory).exists() and kept.is_dir():
        # The run has moved since, or is seen from another working directory.
        config = replace(config, {"classifier.directory": str(kept)})
    return config
