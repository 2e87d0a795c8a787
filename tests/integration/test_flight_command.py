"""`robot-rl train` and `robot-rl eval` for quadrotors, as a user calls them."""

import json
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import MLP, load_bundle
from robot_rl.cli import main
from robot_rl.data.run_directory import read_metrics
from sim.quadrotor.parameters import L2F_PAPER, renamed, save_parameters

TINY = [
    "--gradient.worlds=16",
    "--gradient.window=16",
    "--gradient.updates=20",
    "--gradient.block=10",
    "--gradient.warmup=5",
    "--episodes=50",
]
"""A training that is over in no time; whether it learns is not asked here."""


def run(*words: str) -> int:
    return main(list(words))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "a"
    words = ("train", "quadrotor_hover", "--seed", "3", "--out", str(out), "--json", *TINY)
    assert run(*words) == 0
    return out


def test_a_run_directory_is_complete(trained):
    summary = json.loads((trained / "summary.json").read_text())
    for name in ("env_steps", "updates", "wall_s", "train_s", "success_rate", "episodes", "interventions"):
        assert name in summary
    assert (summary["task"], summary["preset"], summary["seed"]) == ("quadrotor_hover", "fast", 3)
    assert summary["env_steps"] == 16 * 16 * 20
    assert summary["invalid_updates"] == 0
    assert summary["versions"]["jax"]
    judged = summary["evaluation"]["l2f-paper"]
    assert judged["episodes"] == summary["episodes"] == 50
    assert 0.0 < judged["length"] <= 500.0
    assert (trained / "flights.png").stat().st_size > 10_000
    assert "quadrotor_hover, preset fast, seed 3" in (trained / "flights.html").read_text()
    assert "warmup: 5" in (trained / "config.yaml").read_text()
    rows = [row for row in read_metrics(trained / "metrics.jsonl") if "training/cost" in row]
    assert [row["step"] for row in rows] == [16 * 16 * 10, 16 * 16 * 20]


def test_the_policy_acts(trained):
    bundle = load_bundle(trained / "policy")
    assert bundle.kind == MLP
    assert bundle.spec.control_rate == 100.0
    assert bundle.provenance["preset"] == "fast"
    observation = bundle.spec.observation.zeros()
    action = bundle.policy()(
        bundle.spec.observation.unpack(bundle.spec.observation.vector(observation)), None
    )
    assert action.shape == (4,)
    assert np.abs(action).max() <= 1.0


def test_a_policy_is_evaluated(trained, tmp_path, capsys):
    picture, page = tmp_path / "flights.png", tmp_path / "flights.html"
    words = ("eval", "--policy", str(trained / "policy"), "--episodes=50", f"--picture={picture}")
    assert run(*words, f"--page={page}", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    summary = json.loads((trained / "summary.json").read_text())
    assert report["task"] == "quadrotor_hover"
    # The same flights as in the training's own evaluation.
    flown, before = (found["evaluation"]["l2f-paper"] for found in (report, summary))
    assert flown == pytest.approx(before, rel=1e-3)
    assert picture.stat().st_size > 10_000
    assert "l2f-paper: mean length" in page.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "quadrotor_hover", "--preset", "quick"], "unknown preset 'quick' of quadrotor_hover"),
        (["train", "quadrotor_hover", "--preset"], "--preset needs a value"),
        (["train", "quadrotor_hover", "--gradient.updates=30"], "multiple of gradient.block"),
        (["train", "quadrotor_hover", "--config", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["train", "quadrotor_hover", "--seed=-1"], "--seed must be from 0 to 2147483647, not -1"),
        (["train", "quadrotor_hover", "--seed=3000000000"], "--seed must be from 0 to 2147483647"),
        (["train", "quadrotor_hover", "--preset=l2f-paper", "--no-evaluate"], "leave --no-evaluate out"),
        (["eval", "--policy", "nowhere"], "is not a policy bundle"),
    ],
)
def test_bad_words_end_in_a_sentence(words, said, capsys):
    assert run(*words) == 1
    assert said in capsys.readouterr().err


def test_a_policy_that_sees_something_else_is_refused(trained, tmp_path, capsys):
    config = tmp_path / "other.yaml"
    config.write_text((trained / "config.yaml").read_text().replace("history: 8", "history: 4"))
    assert run("eval", "--policy", str(trained / "policy"), "--config", str(config)) == 1
    assert "actions" in capsys.readouterr().err
    assert run("eval", "--policy", str(trained / "policy"), "--seed=-1") == 1
    assert "--seed must be from 0" in capsys.readouterr().err


def test_a_run_keeps_the_quadrotor_that_it_was_trained_for(tmp_path, monkeypatch, capsys):
    mine, out = tmp_path / "mine.yaml", tmp_path / "run"
    save_parameters(renamed(L2F_PAPER, "mine"), mine)
    words = ("train", "quadrotor_hover", "--flight.vehicle.sets", str(mine), "--out", str(out), "--json")
    assert run(*words, *TINY) == 0
    assert list(json.loads(capsys.readouterr().out)["evaluation"]) == ["mine.yaml"]
    mine.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run("eval", "--policy", str(out / "policy"), "--episodes=10", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["evaluation"]) == ["mine.yaml"]


def test_a_training_whose_gradients_are_not_finite_fails(tmp_path, capsys):
    words = ("train", "quadrotor_hover", "--out", str(tmp_path / "run"), *TINY)
    assert run(*words, "--flight.disturbance.force=1e38") == 1
    assert "20 of 20 gradients were not finite, so nothing was learned" in capsys.readouterr().err
    assert not (tmp_path / "run" / "policy").exists()


def test_a_run_is_not_overwritten(trained, capsys):
    assert run("train", "quadrotor_hover", "--out", str(trained), *TINY) == 1
    assert "already holds a run" in capsys.readouterr().err


def test_the_help_lists_the_tasks_of_flying(capsys):
    with pytest.raises(SystemExit):
        run("train", "--help")
    assert "quadrotor_figure_eight" in capsys.readouterr().out
