"""A session comes back from the file of its results."""

from __future__ import annotations

import pytest

from robot_rl.core.errors import LogError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.env.session import Session, SessionConfig
from robot_rl.nodes.results_file import append_result, drop_torn_line, read_results

CONFIG = SessionConfig(
    max_steps=40, evaluate_every=15, evaluation_episodes=2, final_episodes=2, good_evaluations=0
)


def play(session, path, episodes):
    """Play up to `episodes` episodes of ten steps; return what was asked for."""
    asked = []
    for _ in range(episodes):
        phase, episode = session.phase, session.next_episode()
        if episode is None:
            break
        result = EpisodeResult(episode, 10, True, 1.0, 0, 0, 1)
        session.add(result)
        append_result(path, phase, result)
        asked.append((phase, episode))
    return asked


@pytest.mark.parametrize("done", range(14))
def test_a_restored_session_asks_for_what_the_first_would_have(tmp_path, done):
    whole = play(Session(CONFIG, 3, 2), tmp_path / "whole.jsonl", 100)
    path = tmp_path / "results.jsonl"
    before = play(Session(CONFIG, 3, 2), path, done)
    restored = Session(CONFIG, 3, 2)
    for result in read_results(path):
        restored.add(result)
    assert before + play(restored, path, 100) == whole
    assert path.read_text() == (tmp_path / "whole.jsonl").read_text()


def test_a_torn_last_line_is_left_out_and_cut_off(tmp_path):
    path = tmp_path / "results.jsonl"
    result = EpisodeResult(Episode(0, 5, Mode.DEMO), 12, False, -0.01, 1, 12, 0, "too much force")
    append_result(path, "demonstrations", result)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole[:-10])
    assert list(read_results(path)) == [result]
    drop_torn_line(path)
    assert path.read_bytes() == whole


def test_no_file_is_no_results(tmp_path):
    drop_torn_line(tmp_path / "none.jsonl")
    assert list(read_results(tmp_path / "none.jsonl")) == []


def test_damage_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"phase": "practice"}\n')
    with pytest.raises(LogError, match="line 1 is not an episode's result"):
        list(read_results(path))
