"""The picture of a training: success, interventions and episode length against practice steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PracticePoint:
    """One practice episode, for the curves."""

    step: int
    """Practice steps at its end."""
    success_alone: bool
    """It succeeded and nobody intervened."""
    human_fraction: float
    """Part of its steps that the person played."""
    length: int
    """Steps."""


@dataclass(frozen=True)
class EvaluationPoint:
    """One evaluation, for the curves."""

    step: int
    success_rate: float
    mean_length: float
    """Mean length of its successful episodes [steps]."""


def plot_training(
    path: Path,
    title: str,
    practice: Sequence[PracticePoint],
    evaluations: Sequence[EvaluationPoint],
    demonstration_length: float,
    window: int = 20,
) -> None:
    """Write the curves as a PNG. Practice is shown as a running mean over `window` episodes."""
    import matplotlib  # heavy, and needed only here

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (above, middle, below) = plt.subplots(3, 1, figsize=(7, 8), sharex=True, layout="constrained")
    steps = [p.step for p in practice]
    alone = running_mean([float(p.success_alone) for p in practice], window)
    above.plot(steps, [100 * v for v in alone], color="tab:blue", alpha=0.6, label="practice, nobody helping")
    above.plot(
        [e.step for e in evaluations],
        [100 * e.success_rate for e in evaluations],
        "o-",
        color="tab:green",
        label="evaluation",
    )
    above.set(title=title, ylabel="success [%]", ylim=(-3, 103))
    above.legend(loc="lower right")
    human = running_mean([p.human_fraction for p in practice], window)
    middle.plot(steps, [100 * v for v in human], color="tab:orange")
    middle.set(ylabel="steps by the person [%]", ylim=(-3, 103))
    below.plot(steps, running_mean([float(p.length) for p in practice], window), color="tab:blue", alpha=0.6)
    below.plot([e.step for e in evaluations], [e.mean_length for e in evaluations], "o-", color="tab:green")
    below.axhline(demonstration_length, color="grey", linestyle="--", label="demonstrations")
    below.set(xlabel="practice [steps]", ylabel="episode length [steps]", ylim=(0, None))
    below.legend(loc="lower right")
    for axes in (above, middle, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last `window` values at each point; of fewer at the start."""
    means, total = [], 0.0
    for i, value in enumerate(values):
        total += value - (values[i - window] if i >= window else 0.0)
        means.append(total / min(i + 1, window))
    return means
