"""The outcome of a training in numbers: what `summary.json` holds and the tables show."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from robot_rl.core.errors import DatasetError, LogError
from robot_rl.core.types import EpisodeResult, Mode
from robot_rl.data.curves import EvaluationPoint, PracticePoint, plot_training
from robot_rl.data.dataset import Dataset
from robot_rl.env.session import Evaluation, Session


def summarise(task: str, session: Session, updates: int, wall_s: float, train_s: float) -> dict[str, Any]:
    """The figures of a finished session.

    `rewarded_falsely` counts the practice episodes that ended with the reward of success where ground truth
    says that there was none.

    Args:
        task: Name of the task.
        session: After its last episode.
        updates: Critic updates of the learner.
        wall_s: Wall time of the whole run [s].
        train_s: Wall time of demonstrations, practice and the evaluations between, without the final one [s].
    """
    record = session.record
    final = record.final
    demonstration = record.demonstration_steps
    return {
        "task": task,
        "seed": session.seed,
        "env_steps": record.steps,
        "updates": updates,
        "wall_s": round(wall_s, 2),
        "train_s": round(train_s, 2),
        "success_rate": final.success_rate if final is not None else None,
        "episodes": len(record.practice),
        "interventions": record.interventions,
        "human_steps": record.human_steps,
        "demonstrations": sum(r.success for r in record.demonstrations),
        "demonstration_attempts": len(record.demonstrations),
        "demonstration_length": _number(demonstration),
        "success_length": _number(final.mean_steps) if final is not None else None,
        "length_ratio": _number(final.mean_steps / demonstration) if final and demonstration else None,
        "rewarded": sum(r.claimed for r in record.practice),
        "rewarded_falsely": sum(r.claimed and not r.success for r in record.practice),
        "acting": acting(session),
        "peak_force_n": _peak_forces(record.final_episodes),
        "evaluations": [asdict(e) | {"mean_steps": _number(e.mean_steps)} for e in record.evaluations],
        "final_evaluation": asdict(final) | {"mean_steps": _number(final.mean_steps)} if final else None,
    }


def demonstrations_given(run: Path) -> dict[str, Any] | None:
    """Digest and counts of the demonstrations that a learner was given, by the finished logs of its run.

    `robot-rl data show RUN --modes demo --outcome success` shows the same digest. None where nothing was
    logged, or where the logs cannot be read.
    """
    try:
        given = Dataset.open(run, modes=[Mode.DEMO], outcome="success")
        transitions = sum(1 for _ in given.all_transitions())
        return {"digest": given.digest, "episodes": len(given), "transitions": transitions}
    except (DatasetError, LogError):
        return None


def acting(session: Session) -> str:
    """How the policy acts in evaluations; in practice it always acts by sampled actions."""
    return "mean action" if session.config.deterministic_evaluation else "sampled action"


def _peak_forces(results: list[EpisodeResult]) -> dict[str, float] | None:
    """Median, 95th percentile and maximum over episodes of the largest external force [N]."""
    if not results:
        return None
    forces = sorted(result.peak_force for result in results)
    at = {"median": 0.5, "p95": 0.95, "max": 1.0}
    return {name: round(forces[round(part * (len(forces) - 1))], 1) for name, part in at.items()}


def practice_metrics(result: EpisodeResult) -> dict[str, float]:
    """Figures of one practice episode for the metrics file."""
    return {
        "practice/success": float(result.success),
        "practice/success_alone": float(result.success and result.human_steps == 0),
        "practice/length": float(result.steps),
        "practice/reward": result.reward,
        "practice/interventions": float(result.interventions),
        "practice/human_fraction": result.human_steps / max(result.steps, 1),
    }


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Figures of one evaluation for the metrics file."""
    return {"evaluation/success": evaluation.success_rate, "evaluation/length": evaluation.mean_steps}


def plot_session(path: Path, task: str, session: Session) -> None:
    """Draw the curves of a session."""
    record = session.record
    practice, step = [], 0
    for result in record.practice:
        step += result.steps
        alone = result.success and result.human_steps == 0
        human = result.human_steps / max(result.steps, 1)
        practice.append(PracticePoint(step, alone, human, result.steps))
    evaluations = [*record.evaluations, *([record.final] if record.final else [])]
    points = [EvaluationPoint(e.steps, e.success_rate, e.mean_steps) for e in evaluations]
    title = f"{task}, seed {session.seed}, evaluated by the {acting(session)}"
    plot_training(path, title, practice, points, record.demonstration_steps)


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(value, 4) if value == value else None
