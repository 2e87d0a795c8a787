"""The graph on the real clock: the same nodes, nobody waits, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

from std_msgs.msg import String

from robot_rl.data.journal import read_journal
from robot_rl.nodes.convert import json_from
from robot_rl.nodes.messages import EpisodeEvent
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL
from tests.ros.graphs import reach, running
from tests.ros.probe import probing


def test_a_training_on_the_real_clock(tmp_path: Path) -> None:
    config = reach(session__max_steps=40, session__evaluation_episodes=1, session__final_episodes=1)
    with running(tmp_path / "run", config, clock="realtime") as graph, probing(graph) as probe:
        probe.listen("episode/event", String)
        probe.wait(graph.check)
        ended = json_from(EpisodeEvent, probe.newest["episode/event"])
    summary = json.loads((graph.out / "summary.json").read_text())
    results = list(read_results(graph.out / "results.jsonl"))
    journal = list(read_journal(graph.out / JOURNAL))

    assert summary["clock"] == "realtime"
    assert [t.key.sequence for t in journal] == list(range(summary["transitions"]))
    practised = sum(r.steps for r in results if r.episode.mode.value == "train")
    assert sum(t.source.name != "DEMO" for t in journal) == practised >= 40
    stamps = [t.stamp for t in journal]
    assert stamps == sorted(set(stamps))
    assert {t.source.name for t in journal} <= {"DEMO", "HUMAN", "POLICY"}
    assert 0.0 < ended.result["latency_p50_ms"] <= ended.result["latency_p99_ms"]
    assert (graph.out / "policy" / "policy.json").exists()
