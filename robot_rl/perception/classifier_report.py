"""What held-out episodes say about a reward classifier: figures, text and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.contact_sheet import Caption, write_sheet
from robot_rl.env.stages import StageCounter
from robot_rl.perception.classifier import ClassifierFacts
from robot_rl.perception.key_delay import DelayEstimate

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(9))
"""Thresholds that are tried, 0.5 to 0.9."""
BINS = 10
"""Of the calibration table."""
MOST_PICTURES = 60
"""Most frames on a contact sheet."""


@dataclass(frozen=True)
class FrameCase:
    """A frame that a person should look at."""

    path: Path
    """Log of its episode."""
    place: int
    """Of its episode among those that were trained from."""
    episode: int
    """Index of its episode."""
    frame: int
    """Counted from 0."""
    stamp: int
    """[ns]."""
    stage: int
    """Counted from 1."""
    label: int
    """1: the label says that the stage is reached."""
    probability: float
    """By a classifier trained on other episodes."""
    dropped: bool
    """It was not learned from: the key was probably pressed wrongly."""


@dataclass(frozen=True)
class EpisodeVerdict:
    """What the held-out classifier would have made of one episode."""

    episode: int
    """Index."""
    success: bool
    """Some frame is labelled as success."""
    rewarded: int
    """Frame at which success had been held long enough, -1 for never."""
    wrong: bool
    """It was rewarded while its labels say that success was not reached."""
    late: int
    """Frames between the first one labelled as success and the reward, less the hold; 0 where it does not
    apply."""


@dataclass(frozen=True)
class Accuracy:
    """Rates of one stage over held-out frames."""

    balanced: float
    """Mean of the two rates."""
    true_positive_rate: float
    true_negative_rate: float
    positives: int
    """Frames."""
    negatives: int
    """Frames."""


@dataclass(frozen=True)
class ClassifierReport:
    """How far a classifier can be trusted; every figure is of episodes that it was not trained on."""

    facts: ClassifierFacts
    delay: DelayEstimate
    accuracy_away: tuple[Accuracy, ...]
    """Of each stage, at the threshold, over frames away from the changes of the label."""
    accuracy_all: tuple[Accuracy, ...]
    """Of each stage, at the threshold, over all frames that are labelled, wrong presses included."""
    episodes: tuple[EpisodeVerdict, ...]
    suspicious: tuple[FrameCase, ...]
    """Labels that are probably wrong, those that were dropped near a change among them."""
    false_positives: tuple[FrameCase, ...]
    """Frames that look reached, and are not by their label."""
    train_cpu_s: float
    """Processor time of the training, without encoding [s]."""

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean of |probability - share reached| over the bins, by frames."""
        frames = sum(count for _, _, count in self.facts.calibration)
        return sum(abs(p - share) * count for p, share, count in self.facts.calibration) / max(frames, 1)

    @property
    def detected(self) -> int:
        """Successful episodes that were rewarded, and not too early."""
        return sum(e.success and e.rewarded >= 0 and not e.wrong for e in self.episodes)

    @property
    def wrongly_rewarded(self) -> int:
        """Episodes that were rewarded while their labels say that success was not reached."""
        return sum(e.wrong for e in self.episodes)

    def to_json(self) -> dict[str, Any]:
        """All figures."""

        def case(c: FrameCase) -> dict[str, Any]:
            return asdict(c) | {"path": c.path.name, "probability": round(c.probability, 4)}

        return {
            "classifier": asdict(self.facts),
            "delay": self.delay._asdict(),
            "accuracy_away": [asdict(a) for a in self.accuracy_away],
            "accuracy_all": [asdict(a) for a in self.accuracy_all],
            "calibration_error": self.calibration_error,
            "successful_episodes": sum(e.success for e in self.episodes),
            "detected": self.detected,
            "failed_episodes": sum(not e.success for e in self.episodes),
            "wrongly_rewarded": self.wrongly_rewarded,
            "episodes": [asdict(e) for e in self.episodes],
            "suspicious": [case(c) for c in self.suspicious],
            "false_positives": [case(c) for c in self.false_positives],
            "train_cpu_s": round(self.train_cpu_s, 2),
        }

    def to_markdown(self) -> str:
        """The report for people."""
        facts, delay = self.facts, self.delay
        successes = sum(e.success for e in self.episodes)
        away = "on the frames away from it"
        lines = [
            "# Reward classifier",
            "",
            "Every figure is of episodes that the judging classifier was not trained on.",
            "",
            f"- {facts.stages} stage(s), cameras {', '.join(facts.cameras)}, encoder {facts.encoder}",
            f"- learned from {_by_stage(facts.positives)} frames as reached, "
            f"{_by_stage(facts.negatives)} as not reached",
            f"- threshold {facts.threshold}, to be held for {facts.hold_ticks} ticks",
            f"- keys {delay.delay} frames late"
            + ("" if len(delay.plausible) <= 1 else f"; {list(delay.plausible)} explain them about as well"),
            f"- {self.detected} of {successes} successful episodes are rewarded, "
            f"{self.wrongly_rewarded} of all {len(self.episodes)} are rewarded without success",
            f"- expected calibration error {self.calibration_error:.3f}",
            "",
            "| stage | frames | balanced | true positive rate | true negative rate |",
            "|---|---|---|---|---|",
        ]
        for what, rows in ((away, self.accuracy_away), ("on all labelled frames", self.accuracy_all)):
            lines += [
                f"| {stage} | {what}: {a.positives} + {a.negatives} | {100 * a.balanced:.1f} % "
                f"| {100 * a.true_positive_rate:.1f} % | {100 * a.true_negative_rate:.1f} % |"
                for stage, a in enumerate(rows, start=1)
            ]
        lines += ["", "| probability | share reached | frames |", "|---|---|---|"]
        lines += [f"| {p:.3f} | {share:.3f} | {count} |" for p, share, count in facts.calibration]
        for title, picture, cases in self._cases():
            lines += ["", f"## {title}", "", f"{len(cases)} frames." if cases else "None."]
            if cases:
                lines += [f"The most striking are in [{picture}]({picture}).", ""]
                lines += ["| episode | frames | stage | label | probability | |", "|---|---|---|---|---|---|"]
                lines += [_row(run) for run in _group(cases)]
        return "\n".join(lines) + "\n"

    def save(self, directory: Path) -> None:
        """Write `report.json`, `report.md` and the contact sheets."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_text(json.dumps(self.to_json(), indent=1) + "\n")
        (directory / "report.md").write_text(self.to_markdown())
        for _, picture, cases in self._cases():
            if cases:
                worst = sorted(cases, key=lambda c: -abs(c.probability - c.label))[:MOST_PICTURES]
                worst.sort(key=lambda c: (c.place, c.frame))
                captions = [
                    Caption(c.path, c.stamp, f"{c.episode}:{c.frame} y={c.label} p={c.probability:.2f}")
                    for c in worst
                ]
                write_sheet(directory / picture, captions, self.facts.cameras)

    def _cases(self) -> tuple[tuple[str, str, tuple[FrameCase, ...]], ...]:
        return (
            ("Suspicious labels", "suspicious.png", self.suspicious),
            ("False positives", "false_positives.png", self.false_positives),
        )


def balanced_accuracy(
    held_out: Sequence[np.ndarray], wanted: Sequence[np.ndarray], threshold: float
) -> tuple[Accuracy, ...]:
    """Of each stage, over the frames whose target is known."""
    seen, target = np.concatenate(held_out) >= threshold, np.concatenate(wanted)
    rows = []
    for stage in range(target.shape[1]):
        yes, no = target[:, stage] == 1, target[:, stage] == 0
        sensitivity = float(seen[yes, stage].mean()) if yes.any() else 0.0
        specificity = float((~seen[no, stage]).mean()) if no.any() else 0.0
        balanced = (sensitivity + specificity) / 2.0
        rows.append(Accuracy(balanced, sensitivity, specificity, int(yes.sum()), int(no.sum())))
    return tuple(rows)


def calibration(probability: np.ndarray, target: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    """Reliability: mean probability, share that was reached and frames of each bin that is not empty."""
    known = target >= 0
    p, y = probability[known], target[known]
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return tuple(
        (float(p[bins == b].mean()), float(y[bins == b].mean()), int((bins == b).sum()))
        for b in range(BINS)
        if (bins == b).any()
    )


def judge_episodes(
    indices: Sequence[int],
    held_out: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    threshold: float,
    ticks: int,
) -> tuple[EpisodeVerdict, ...]:
    """Play every episode to a `StageCounter`, as the task will."""
    verdicts = []
    for index, probability, target in zip(indices, held_out, wanted, strict=True):
        counter = StageCounter(target.shape[1], threshold, ticks)
        success = np.flatnonzero(target[:, -1] == 1)
        rewarded = next((t for t, p in enumerate(probability) if counter.update(p).success), -1)
        hold = target[max(rewarded - ticks + 1, 0) : rewarded + 1, -1]
        wrong = rewarded >= 0 and bool((hold == 0).any()) and not (hold == 1).any()
        late = rewarded - (int(success[0]) + ticks - 1) if rewarded >= 0 and len(success) else 0
        verdicts.append(EpisodeVerdict(index, bool(len(success)), rewarded, wrong, late))
    return tuple(verdicts)


def choose_threshold(held_out: Sequence[np.ndarray], wanted: Sequence[np.ndarray], ticks: int) -> float:
    """The lowest of `THRESHOLDS` with which the fewest held-out episodes are rewarded without success."""

    def wrongly_rewarded(threshold: float) -> int:
        return sum(v.wrong for v in judge_episodes(range(len(wanted)), held_out, wanted, threshold, ticks))

    return min(THRESHOLDS, key=wrongly_rewarded)


def _group(cases: Sequence[FrameCase]) -> list[list[FrameCase]]:
    """Runs of neighbouring frames."""
    runs: list[list[FrameCase]] = []
    for case in sorted(cases, key=lambda c: (c.place, c.stage, c.frame)):
        last = runs[-1][-1] if runs else None
        same = last is not None and (last.place, last.stage, last.frame + 1) == (
            case.place,
            case.stage,
            case.frame,
        )
        if same:
            runs[-1].append(case)
        else:
            runs.append([case])
    return runs


def _row(run: list[FrameCase]) -> str:
    first, last = run[0], run[-1]
    mean = sum(c.probability for c in run) / len(run)
    note = "not learned from" if all(c.dropped for c in run) else ""
    frames = f"{first.frame}..{last.frame}"
    return f"| {first.episode} | {frames} | {first.stage} | {first.label} | {mean:.2f} | {note} |"


def _by_stage(counts: Sequence[int]) -> str:
    return " / ".join(map(str, counts))
