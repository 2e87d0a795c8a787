"""The operator decides the course: graphs on the real clock and in lockstep that are told what to do."""

from __future__ import annotations

import json
import signal
from itertools import pairwise
from pathlib import Path

from robot_rl.core.clock import nanoseconds
from robot_rl.core.types import Mode, Source
from robot_rl.data.episode_log import read, read_info
from robot_rl.data.journal import read_journal
from robot_rl.data.json_messages import Intervention, decode
from robot_rl.data.views import episodes, transitions
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL, SESSION
from tests.ros.graphs import PIXELS, Graph, pixels, reach, running
from tests.ros.operators import operating

PAUSE = 2.0
"""Longer than two steps of an episode can ever be apart [s]."""


def journal(graph: Graph) -> list:
    """What the learner has kept."""
    path = graph.out / JOURNAL
    return list(read_journal(path)) if path.exists() else []


def results(graph: Graph) -> list:
    return list(read_results(graph.out / "results.jsonl"))


def successes(graph: Graph) -> list[Path]:
    """Logs of demonstrations that succeeded."""
    infos = (read_info(path, tolerant=True) for path in sorted((graph.out / "episodes").glob("*.mcap")))
    return [info.path for info in infos if info.result is not None and info.result.success]


def label_logs(graph: Graph) -> list[Path]:
    """Logs of episodes for labels, finished or not."""
    return sorted((graph.out / "episodes").glob("*.mcap"))


def test_demonstrations_are_started_taken_back_and_kept(tmp_path: Path) -> None:
    config = reach(session__max_steps=20, session__evaluation_episodes=0, session__final_episodes=0)
    with (
        running(tmp_path / "run", config, clock="realtime", person="operator") as graph,
        operating(graph) as operator,
    ):
        state = operator.wait_for("waiting", "demonstrations")
        assert state.undo == -1
        assert state.reason == "start begins demonstration 1 of 1"
        assert json.loads((graph.out / SESSION).read_text())["activity"] == "waiting"
        operator.wait_for_learner()
        operator.show()
        assert operator.state.undo == 0
        assert operator.state.reason == "start lets the policy practise, undo takes the last episode back"
        logs = graph.out / "episodes"
        operator.probe.wait(lambda: successes(graph))
        shown = list(transitions(graph.out, [Mode.DEMO], "success"))
        assert len(shown) > 3
        assert journal(graph) == []
        assert results(graph) == []

        operator.tell("undo")
        operator.wait_for("waiting", "demonstrations")
        assert operator.state.undo == -1
        operator.probe.wait(lambda: (logs / "undone" / "000000.mcap").exists())
        assert successes(graph) == []
        undone = list(transitions(logs / "undone"))
        assert [t.key for t in undone] == [t.key for t in shown]

        operator.show()
        assert operator.state.undo == 1
        assert journal(graph) == []
        operator.tell("start")
        operator.wait_for("running", "practice")
        operator.probe.wait(graph.check)

    kept = [t for t in journal(graph) if t.source is Source.DEMO]
    assert {t.episode for t in kept} == {1}
    assert [t.key.sequence for t in journal(graph)] == list(range(len(journal(graph))))
    assert [r.episode.index for r in results(graph)][:2] == [1, 2]
    # Each transition is in the log of its own episode, once.
    infos = [info for info in episodes(graph.out) if info.result is not None]
    assert [info.result for info in infos] == results(graph)
    for info in infos:
        logged = [t.key for t in transitions(info.path)]
        assert logged == [t.key for t in journal(graph) if t.episode == info.episode.index]
    summary = json.loads((graph.out / "summary.json").read_text())
    assert summary["phase_s"]["waiting"] > 0


def test_a_pause_a_request_and_a_restart(tmp_path: Path) -> None:
    """In mid-practice with a frozen policy; nothing that was learned from spans a pause."""
    config = reach(
        learner__demonstrations=0,
        session__max_steps=100_000,
        session__evaluate_every=100_000,
    )
    with (
        running(tmp_path / "run", config, clock="realtime", person="operator", policy="random") as graph,
        operating(graph) as operator,
    ):
        operator.wait_for("running", "practice")
        operator.rest(1.0)
        operator.tell("pause")
        state = operator.wait_for("paused")
        assert state.reason == "paused by page-1: start goes on"
        before = len(operator.said)
        operator.rest(PAUSE)
        assert len(operator.said) == before
        operator.tell("start")
        operator.wait_for("running")
        operator.rest(0.5)
        operator.tell("reset")
        operator.rest(1.0)
        operator.tell("demonstrate")
        operator.wait_for("waiting", "demonstrations")
        assert operator.state.reason == "start begins a demonstration"
        operator.show()
        assert operator.state.phase == "practice"
        operator.tell("start")
        operator.wait_for("running", "practice")
        done = len(results(graph))
        operator.probe.wait(lambda: len(results(graph)) > done)

        graph.kill("actor", signal.SIGKILL)
        operator.probe.wait(lambda: operator.state.run == 1 and operator.state.activity == "waiting")
        assert operator.state.reason == "the actor was started again: start lets the policy practise"
        finished = len(results(graph))
        operator.rest(0.5)
        assert len(results(graph)) == finished
        operator.tell("start")
        operator.probe.wait(lambda: len(results(graph)) >= finished + 2)
        log = graph.log("actor")

    assert "pause, says page-1" in log
    played = results(graph)
    assert [r.episode.index for r in played] == list(range(len(played)))
    assert [r.episode.mode for r in played].count(Mode.DEMO) == 1
    whole = {r.episode.index: r.steps for r in played}
    taught = list(transitions(graph.out))
    by_episode = {i: [t for t in taught if t.episode == i and t.key.run == 0] for i in whole}
    cut = [i for i, rows in by_episode.items() if rows and rows[-1].truncated and whole[i] < 20]
    assert len(cut) >= 2  # the pause and the reset
    for index, rows in by_episode.items():
        if len(rows) == whole[index]:
            assert [t.step for t in rows] == list(range(len(rows)))
            assert all(not (t.terminated or t.truncated) for t in rows[:-1])
            assert rows[-1].terminated or rows[-1].truncated
        assert all(b.stamp - a.stamp < nanoseconds(PAUSE) for a, b in pairwise(rows))


def test_lockstep_is_paused_and_the_learner_rests(tmp_path: Path) -> None:
    config = reach(session__max_steps=200, session__evaluation_episodes=2, session__final_episodes=1)
    with running(tmp_path / "run", config) as graph, operating(graph, hands=False) as operator:
        operator.wait_for("running", "practice")
        operator.probe.wait(lambda: len(journal(graph)) > 40)
        operator.tell("pause")
        operator.wait_for("paused")
        operator.probe.wait(lambda: "the learner rests: the session is paused" in graph.log("learner"))
        kept = len(journal(graph))
        operator.rest(0.5)
        assert len(journal(graph)) == kept
        operator.tell("start")
        operator.wait_for("running")
        operator.probe.wait(graph.check)
        assert "the learner goes on: the session is running" in graph.log("learner")
    assert (graph.out / "summary.json").exists()
    played = results(graph)
    assert [r.episode.index for r in played] == list(range(len(played)))
    assert [t.key.sequence for t in journal(graph)] == list(range(len(journal(graph))))
    practised = sum(r.steps for r in played if r.episode.mode is Mode.TRAIN)
    assert sum(t.source is not Source.DEMO for t in journal(graph)) == practised >= 200


def test_labels_are_shown_and_taken_back(tmp_path: Path) -> None:
    """An episode for labels counts however it ends; the one that is cut by a reset begins anew."""
    config = pixels(
        learner__demonstrations=0,
        session__label_episodes=1,
        session__max_steps=0,
        reward="person",
        goal__time_limit=30.0,
    )
    with (
        running(
            tmp_path / "run", config, task=PIXELS, clock="realtime", person="operator", policy="hold"
        ) as graph,
        operating(graph) as operator,
    ):
        state = operator.wait_for("waiting", "labels")
        assert state.reason == "start begins episode 1 of 1 for labels"
        operator.tell("start")
        operator.wait_for("running")
        operator.rest(0.5)
        operator.tell("reset")
        operator.probe.wait(lambda: len(label_logs(graph)) == 2)
        operator.buttons = "label"
        operator.rest(1.0)
        operator.buttons = "failure"
        operator.probe.wait(lambda: operator.state.undo == 0)
        operator.buttons = ""
        assert (
            operator.state.reason == "start ends the session, all is done, undo takes the last episode back"
        )
        operator.tell("undo")
        operator.wait_for("waiting", "labels")
        operator.probe.wait(lambda: len(label_logs(graph)) == 1)
        operator.tell("start")
        operator.wait_for("running")
        operator.rest(0.5)
        operator.buttons = "failure"
        operator.probe.wait(lambda: operator.state.undo == 1)
        operator.tell("start")
        operator.probe.wait(graph.check)
    (played,) = results(graph)
    assert (played.episode.index, played.episode.mode, played.success) == (1, Mode.LABEL, False)
    (undone,) = (graph.out / "episodes" / "undone").glob("*.mcap")
    said = [decode(Intervention, m.message.data) for m in read(undone, {"intervention/event"})]
    assert {event.label for event in said} == {-1, 1}
