"""What `robot-rl record` makes of its options, and what a terminal shows of a session that waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rl import tasks
from robot_rl.cli.record import main
from robot_rl.cli.record_live import Recording, course, device_at, is_kept
from robot_rl.cli.report import TrainingProgress
from robot_rl.core.errors import ConfigError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.env.session import PHASES, Session


def recording(labels: bool = False) -> Recording:
    return Recording("franka_reach", Path("x"), "console", 2, labels, 0, False, "127.0.0.1", 8080)


def play(session: Session, success: list[bool]) -> list[Mode]:
    """The modes that a session asks for, with these results."""
    modes = []
    for outcome in success:
        episode = session.next_episode()
        if episode is None:
            break
        modes.append(episode.mode)
        session.add(EpisodeResult(episode, 5, outcome, 0.0, 0, 5, 0))
    return modes


def test_a_recording_ends_when_enough_is_kept() -> None:
    config = course(tasks.load("franka_reach"), recording(), "console")
    session = Session(config.session, 0, config.learner.demonstrations, attempts=None)
    assert play(session, [False] * 10 + [True] * 9) == [Mode.DEMO] * 12
    assert session.phase == "done"


def test_labels_count_whatever_they_show() -> None:
    config = course(tasks.load("franka_reach"), recording(labels=True), "console")
    session = Session(config.session, 0, config.learner.demonstrations, attempts=None)
    assert play(session, [False, True, True]) == [Mode.LABEL] * 2
    failure = EpisodeResult(Episode(0, 0, Mode.LABEL), 5, False, 0.0, 0, 5, 0)
    assert is_kept(recording(labels=True), failure)
    assert not is_kept(recording(), failure)


def test_a_keyboard_is_that_of_the_terminal() -> None:
    assert device_at("/dev/pts/7", "keyboard") == "keyboard:/dev/pts/7"
    assert device_at("/dev/pts/7", "keyboard:/dev/pts/3") == "keyboard:/dev/pts/3"
    assert device_at("", "spacemouse:1") == "spacemouse:1"
    with pytest.raises(ConfigError, match=r"name one, as in keyboard:/dev/pts/3"):
        device_at("", "keyboard")


def test_an_unknown_device_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'spacemouse'"):
        main(["franka_reach", "--device", "spacemous", "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_without_a_bar_each_standstill_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    config = tasks.load("franka_reach")
    with TrainingProgress(Session(config.session, 0, 1), config.learner.utd_ratio) as progress:
        progress.standing("demonstrations", "waiting", "start begins demonstration 1 of 1")
        progress.standing("demonstrations", "running", "")
        progress.standing("practice", "paused", "paused by page-1: start goes on")
    assert capsys.readouterr().err.splitlines() == [
        "waiting: start begins demonstration 1 of 1",
        "paused: paused by page-1: start goes on",
    ]


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_is_shown_before_its_first_episode(phase: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = tasks.load("franka_reach")
    with TrainingProgress(Session(config.session, 0, 1), config.learner.utd_ratio) as progress:
        progress.standing(phase, "running", "")
    assert "nan" not in capsys.readouterr().err
