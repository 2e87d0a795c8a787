"""The console's curves: live from the graph, and from the files of a run when it comes later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from std_msgs.msg import String

from robot_rl.console.model import Model
from robot_rl.nodes.console_curves import Curves
from robot_rl.nodes.convert import json_from
from robot_rl.nodes.messages import EpisodeEvent
from robot_rl.nodes.qos import LATCHED, STREAM
from robot_rl.nodes.results_file import read_results
from tests.ros.graphs import reach, running
from tests.ros.probe import probing


def points(model: Model) -> dict[tuple[str, str], list[Any]]:
    return {
        (chart["title"], series["name"]): series["points"]
        for chart in model.curves()[1]
        for series in chart["series"]
    }


def test_a_console_that_comes_later_shows_the_same_curves(tmp_path: Path) -> None:
    config = reach(session__max_steps=60, session__evaluation_episodes=1, session__final_episodes=1)
    model, later = Model(), Model()
    live = Curves(model)
    with running(tmp_path / "run", config) as graph, probing(graph) as probe:
        ended = []

        def on_event(message: String) -> None:
            event = json_from(EpisodeEvent, message)
            live.on_event(event)
            if event.event == "end":
                ended.append(event.index)

        probe.node.create_subscription(String, "episode/event", on_event, STREAM)
        probe.node.create_subscription(
            String, "learner/metrics", lambda m: live.on_metrics(json.loads(m.data)), LATCHED
        )
        probe.wait(graph.check)
        *_, last = read_results(graph.out / "results.jsonl")
        probe.wait(lambda: last.episode.index in ended)  # it may come after the actor's end
    live.show()

    restored = Curves(later)
    assert restored.restore(tmp_path / "run") == ""
    restored.show()
    seen, read = points(model), points(later)
    practice = [("Success", "last 20"), ("Success", "alone"), ("Success", "eval")]
    practice += [("Steps by the person", "last 20"), ("Return", "last 20")]
    for name in practice:
        assert seen[name], name
        assert seen[name] == read[name]
    assert read["Losses", "critic"]


def test_files_that_cannot_be_read_are_told_and_nothing_else(tmp_path: Path) -> None:
    model = Model()
    curves = Curves(model)
    assert curves.restore(tmp_path) == ""
    (tmp_path / "results.jsonl").write_text("nonsense\n")
    assert "results.jsonl, line 1" in curves.restore(tmp_path)
    curves.on_event(EpisodeEvent(0, "end", 0, 0, "train"))
    curves.show()
    assert not any(points(model).values())
