"""What a training shows in the terminal: progress while it runs, a table at its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from robot_rl.env.session import PHASES, RECENT, Evaluation, Session


class TrainingProgress:
    """A progress bar with success, interventions and updates a second; lines instead without a terminal."""

    def __init__(self, session: Session, utd_ratio: int, quiet: bool = False) -> None:
        self.session = session
        self._utd_ratio = utd_ratio
        self._practice_s = 0.0
        self._last = time.monotonic()
        self.console = Console(stderr=True, quiet=quiet)
        self._bar = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._phase = ""
        self._row = self._bar.add_task("", total=1, text="")

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def episode(self, phase: str) -> None:
        """Show that an episode of this phase was added to the session."""
        now = time.monotonic()
        if phase == "practice":
            self._practice_s += now - self._last
        self._last = now
        self._phase = phase
        self._show(phase)

    def standing(self, phase: str, activity: str, reason: str) -> None:
        """Show where the session is, and why it stands still if it does."""
        if activity == "running":
            self._phase = phase if phase in PHASES else self._phase
            self._show(self._phase)
        elif self._bar.disable:
            self.line(f"{activity}: {reason}")
        else:
            self._bar.update(self._row, description=activity, text=reason)

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _show(self, phase: str) -> None:
        session, record = self.session, self.session.record
        if not phase:
            done, total, text = 0, 1, ""
        elif phase == "labels":
            done, total = len(record.labels), session.config.label_episodes
            text = f"{done} of {total} episodes"
        elif phase == "demonstrations":
            done, total = sum(r.success for r in record.demonstrations), session.demonstrations
            text = f"{done}/{total}" + (f", {record.demonstration_steps:.0f} steps each" if done else "")
        elif phase == "practice":
            recent = record.practice[-RECENT:]
            alone = sum(r.success and not r.human_steps for r in recent)
            human = sum(r.human_steps for r in recent) / max(sum(r.steps for r in recent), 1)
            done, total = record.steps, session.config.max_steps
            updates_per_second = done * self._utd_ratio / max(self._practice_s, 1e-9)
            text = (
                f"{done} steps, alone {100 * alone // max(len(recent), 1)} %, person {100 * human:.0f} %, "
                f"{record.interventions} interventions, {updates_per_second:.0f} updates/s"
            )
        else:
            done, total = session.evaluated, session.evaluation_size
            text = f"{done} of {total} episodes"
        self._bar.update(self._row, description=phase, completed=done, total=max(total, done), text=text)

    def evaluation(self, evaluation: Evaluation) -> None:
        """Print the result of an evaluation as a line that stays."""
        e = evaluation
        self.line(
            f"  {e.steps:>6} steps: {e.successes} of {e.episodes} succeed alone, "
            f"{e.mean_steps:.1f} steps each"
        )


def print_summary(summary: dict[str, Any], paths: dict[str, Path]) -> None:
    """The table at the end of a training."""
    rows = [
        ("success, nobody helping", percent(summary["success_rate"])),
        ("length of a success", steps(summary["success_length"])),
        ("length of a demonstration", steps(summary["demonstration_length"])),
        ("practice", f"{summary['env_steps']} steps, {summary['episodes']} episodes"),
        ("corrections", f"{summary['interventions']}, {summary['human_steps']} steps"),
        ("critic updates", f"{summary['updates']}"),
        ("training time", f"{summary['train_s']:.0f} s of {summary['wall_s']:.0f} s"),
    ]
    if (given := summary.get("dataset")) is not None:
        rows.insert(3, ("demonstrations", f"{given['episodes']}, data set {given['digest']}"))
    print_table(f"{summary['task']}, seed {summary['seed']}", rows)
    for name, path in paths.items():
        print(f"{name:<8} {path}")


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """A table of names and values; square brackets are no markup, as they are to rich."""
    table = Table(title=Text(title, style="table.title"), show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    Console().print(table)


def print_columns(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with a header; the first column holds names, the others figures."""
    table = Table(title=Text(title, style="table.title"))
    for i, name in enumerate(header):
        table.add_column(Text(name), justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    if not console.is_terminal:  # nothing has to fit a screen
        console.width = 240
    console.print(table)


def print_json(data: dict[str, Any]) -> None:
    """One JSON object for programs."""
    json.dump(data, sys.stdout)
    sys.stdout.write("\n")


def percent(rate: float | None) -> str:
    """A rate in percent, a dash for none."""
    return "-" if rate is None else f"{100 * rate:.1f} %"


def steps(length: float | None) -> str:
    """A length in steps, a dash for none."""
    return "-" if length is None else f"{length:.1f} steps"
