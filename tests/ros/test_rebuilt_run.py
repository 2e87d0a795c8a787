"""A run of the graph is made one for another encoder, and the graph goes on with it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from policies.bundle import load_bundle
from robot_rl.cli import main
from robot_rl.core.config import replace
from robot_rl.core.types import Mode, Source
from robot_rl.data.journal import read_journal
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL
from robot_rl.nodes.supervisor import Supervisor
from robot_rl.nodes.table import GraphOptions, node_table
from tests.ros.graphs import PIXELS, Graph, pixels, running
from tests.unit.data_samples import assert_same

IDLE = {"learner__bc_steps": 0, "learner__learning_starts": 1000, "learner__hidden": [8]}
"""A learner that stores and counts: what it learns again is compared elsewhere, and compiling takes long."""


def test_the_graph_goes_on_with_another_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, out = tmp_path / "old", tmp_path / "new"
    course = {
        "session__max_steps": 20,
        "session__final_episodes": 1,
        "goal__time_limit": 8.0,
    }
    config = pixels(**IDLE, **course)
    with running(old, config, PIXELS, seed=3) as graph:
        graph.run()
    before = list(read_results(old / "results.jsonl"))
    assert before[-1].episode.mode is Mode.EVAL
    learned = list(read_journal(old / JOURNAL))

    assert main(["rebuild", str(old), "--out", str(out), "--encoder.seed", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lost"] == 0
    assert report["next"].startswith(f"go on with it: robot-rl up {PIXELS} --out {out} --resume --seed 3")
    assert list(read_results(out / "results.jsonl")) == before[:-1]
    journal = list(read_journal(out / JOURNAL))
    blind = [name for name in config.spec.observation if not name.endswith(".features")]
    for ours, theirs in zip(journal, learned, strict=True):
        assert (ours.observation["wrist.features"] != theirs.observation["wrist.features"]).any()
        kept = {name: theirs.observation[name] for name in blind}
        assert all((ours.observation[name] == value).all() for name, value in kept.items())
        assert_same(
            dataclasses.replace(theirs, observation={}, next_observation={}),
            dataclasses.replace(ours, observation={}, next_observation={}),
        )

    new = replace(config, {"encoder.seed": 1})
    table = node_table(GraphOptions(task=PIXELS, out=str(out), seed=3), new)
    supervisor = Supervisor(table, out / "logs", out / "config.yaml")
    try:
        supervisor.start()
        Graph(supervisor, out).run()
    finally:
        supervisor.stop()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["actor_runs"] == 2
    steps = sum(t.source is not Source.DEMO for t in journal)
    assert summary["env_steps"] == steps >= 20
    after = list(read_results(out / "results.jsonl"))
    assert after[:-1] == before[:-1]
    assert after[-1].policy_version == report["version"] == 1 + steps // config.learner.block
    assert load_bundle(out / "policy", new.spec).version == report["version"]
