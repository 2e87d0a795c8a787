"""The commands as a user calls them, on the smallest task."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.cli import COMMANDS, READER_GONE, main
from robot_rl.core.types import Mode
from robot_rl.data.dataset import Dataset
from robot_rl.data.run_directory import read_metrics
from robot_rl.data.statistics import measure

TINY = [
    "--session.max-steps=60",
    "--session.evaluate-every=60",
    "--session.evaluation-episodes=2",
    "--session.final-episodes=3",
    "--learner.demonstrations=1",
    "--learner.bc-steps=50",
    "--learner.learning-starts=20",
    "--learner.batch-size=16",
    "--goal.time-limit=2.0",
]
"""A training that is over in seconds; whether it learns is not asked here."""


def run(*words: str) -> int:
    return main(list(words))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "a"
    assert run("train", "franka_reach", "--seed", "3", "--out", str(out), "--json", *TINY) == 0
    return out


def test_a_run_directory_is_complete(trained):
    summary = json.loads((trained / "summary.json").read_text())
    for name in ("task", "seed", "env_steps", "updates", "wall_s", "train_s", "success_rate", "episodes"):
        assert name in summary
    assert summary["task"] == "franka_reach"
    assert summary["seed"] == 3
    assert summary["env_steps"] >= 60
    assert summary["versions"]["numpy"]
    assert (trained / "curves.png").stat().st_size > 10_000
    assert (trained / "policy" / "policy.json").exists()
    assert "hidden" in (trained / "config.yaml").read_text()
    practice = [row for row in read_metrics(trained / "metrics.jsonl") if "practice/length" in row]
    assert practice[-1]["step"] == summary["env_steps"]
    modes = measure(Dataset.open(trained / "episodes")).modes
    assert {mode: found.episodes for mode, found in modes.items()} == {
        "demo": summary["demonstration_attempts"],
        "train": summary["episodes"],
    }


def test_the_summary_names_the_demonstrations_that_were_learned_from(trained, capsys):
    summary = json.loads((trained / "summary.json").read_text())
    capsys.readouterr()
    assert run("data", "show", str(trained), "--modes", "demo", "--outcome", "success", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert summary["dataset"] == {
        "digest": shown["digest"],
        "episodes": summary["demonstrations"],
        "transitions": shown["transitions"],
    }


def test_the_same_seed_gives_the_same_policy(trained, tmp_path):
    again = tmp_path / "again"
    words = ("train", "franka_reach", "--seed", "3", "--out", str(again), "--no-log-episodes", *TINY)
    assert run(*words) == 0
    name = "policy/weights.safetensors"
    assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_eval_reports_the_policy(trained, capsys):
    policy = str(trained / "policy")
    assert run("eval", "--policy", policy, "--episodes", "3", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["task"] == "franka_reach"
    assert report["episodes"] == 3
    assert report["backend"] == "mujoco"
    assert run("eval", "--policy", policy, "--episodes", "2", "--backend", "pybullet") == 0
    assert "franka_reach on pybullet" in capsys.readouterr().out


def test_record_writes_logs(tmp_path, capsys):
    out = tmp_path / "demos"
    assert run("record", "franka_reach", "--episodes", "2", "--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["success_rate"] == 1.0
    assert len(Dataset.open(out / "episodes").only([Mode.DEMO])) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command 'trian': did you mean 'train'"),
        (["train", "franka_pick"], "unknown task 'franka_pick': did you mean 'franka_pick_cube'"),
        (["train"], "which task?"),
        (["train", "franka_reach", "--config", "nothing.yaml"], "cannot read nothing.yaml"),
        (["eval", "--policy", "nothing"], "nothing is not a policy bundle"),
        (["eval", "--policy", "nothing", "--vehicle", "l2f-2"], "nothing is not a policy bundle"),
        (["train", "quadrotor_hovr"], "unknown task 'quadrotor_hovr': did you mean 'quadrotor_hover'"),
        (["train", "franka_reach", "--seed", "-1"], "--seed must be"),
        (["train", "franka_reach", "--out", "/dev/null/run"], "cannot write a run into /dev/null/run"),
        (["up", "crazyfly"], "unknown task 'crazyfly': did you mean 'crazyflie'"),
        (["up", "crazyflie", "--seed", "-1"], "seed must not be negative"),
        (["up", "crazyflie", "--config", "nothing.yaml"], "cannot read nothing.yaml"),
        (["calibrate", "quadrotor", "a.csv", "--mass", "-1"], "--mass must be what the scale says in kg"),
        (["calibrate", "quadrotor", "a.csv", "--out", "/dev/null/a.yaml"], "cannot use /dev/null"),
        (["bench", "lerner"], "unknown benchmark 'lerner': did you mean 'learner'"),
    ],
)
def test_mistakes_get_one_clear_line(words, message, capsys):
    assert run(*words) != 0
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_mistaken_option_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as stop:
        run("train", "franka_reach", "--learner.utd-ration", "3")
    assert stop.value.code != 0
    assert "--learner.utd-ratio" in capsys.readouterr().err


def test_a_mistaken_key_in_a_file_is_refused_with_the_nearest(tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text("learner: {utd_ration: 3}\n")
    assert run("train", "franka_reach", "--config", str(file)) == 1
    assert "unknown key 'learner.utd_ration': did you mean 'utd_ratio'" in capsys.readouterr().err


def test_settings_come_from_file_then_flags(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("/**:\n  ros__parameters:\n    learner: {utd_ratio: 2, block: 5}\n")
    out = tmp_path / "run"
    words = ["--config", str(file), "--learner.utd-ratio=3", "--out", str(out), "--no-log-episodes"]
    assert run("train", "franka_reach", *words, *TINY, "--session.max-steps=0") == 0
    text = (out / "config.yaml").read_text()
    assert "utd_ratio: 3" in text
    assert "block: 5" in text


def test_a_run_is_never_overwritten(trained, capsys):
    assert run("train", "franka_reach", "--out", str(trained), *TINY) == 1
    assert "already holds a run" in capsys.readouterr().err


def test_a_policy_of_another_task_is_refused(trained, tmp_path, capsys):
    manifest = json.loads((trained / "policy" / "policy.json").read_text())
    manifest["spec"]["name"] = "franka_pick_cube"
    other = tmp_path / "policy"
    other.mkdir()
    (other / "policy.json").write_text(json.dumps(manifest))
    (other / "weights.safetensors").write_bytes((trained / "policy" / "weights.safetensors").read_bytes())
    assert run("eval", "--policy", str(other), "--episodes", "1") == 1
    assert "does not fit" in capsys.readouterr().err


def test_doctor_finds_this_machine_fit(capsys):
    assert run("doctor", "--json") == 0
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["packages"]["state"] == "ok"
    assert findings["mujoco"]["state"] == "ok"
    for finding in findings.values():
        assert finding["state"] == "ok" or finding["remedy"] or finding["detail"]


@pytest.mark.parametrize("words", [["--help"], ["up", "franka_pick_cube", "--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    listing = subprocess.Popen(
        [sys.executable, "-c", "from robot_rl.cli import main; raise SystemExit(main())", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert listing.stdout is not None and listing.stderr is not None
    listing.stdout.close()
    assert listing.stderr.read() == b""
    listing.stderr.close()
    assert listing.wait() == READER_GONE


def test_help_names_every_command_and_loads_no_library():
    code = (
        "import sys; from robot_rl.cli import main; main(['--help']);"
        "heavy = {'jax', 'torch', 'mujoco', 'pybullet', 'rclpy', 'tyro'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_a_file_that_is_none_of_ros_is_refused_before_anything_starts(tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text("device: {max_speed: 1.0}\n")
    assert run("up", "crazyflie", "--config", str(file), "--out", str(tmp_path / "run")) == 1
    assert "settings.yaml is no ROS parameter file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
