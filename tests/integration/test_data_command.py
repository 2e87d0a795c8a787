"""`robot-rl data` from the user's side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from robot_rl.cli import main
from robot_rl.core.types import Mode
from robot_rl.data.dataset import Dataset
from tests.unit.data_samples import small_spec
from tests.unit.dataset_samples import Plan, record_run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of the simulated arm."""
    out = tmp_path_factory.mktemp("runs") / "reach"
    assert main(["record", "franka_reach", "--episodes", "2", "--out", str(out), "--json"]) == 0
    return out


def data(*words: object) -> int:
    return main(["data", *map(str, words)])


def said(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_data_sets_are_listed(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_run(tmp_path / "runs" / "a")
    record_run(tmp_path / "runs" / "b" / "labels", [Plan(Mode.LABEL)])
    record_run(tmp_path / "runs" / "a" / "episodes" / "undone", [Plan()])
    record_run(tmp_path / "mixed", [Plan()])
    record_run(tmp_path / "mixed", [Plan()], small_spec())
    assert data("list", recorded.parent, tmp_path, "--json") == 0
    rows = {Path(row["path"]).name: row for row in said(capsys)["datasets"]}
    assert set(rows) == {"reach", "a", "labels", "mixed"}
    assert rows["reach"]["task"] == "franka_reach"
    assert rows["reach"]["cameras"] == []
    a = rows["a"]
    assert (a["episodes"], a["successes"], a["steps"], a["cameras"]) == (4, 3, 12, ["wrist", "side"])
    assert a["digest"] == Dataset.open(tmp_path / "runs" / "a").digest
    assert "not of one spec" in rows["mixed"]["error"]
    assert data("list", tmp_path) == 0
    table = capsys.readouterr().out
    assert a["digest"] in table
    assert "cannot be read" in table


def test_nothing_to_list_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("list", tmp_path) == 0
    assert "robot-rl record" in capsys.readouterr().out
    assert data("list", tmp_path / "runs") == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_data_set_is_shown(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("show", recorded, "--json") == 0
    found = said(capsys)
    dataset = Dataset.open(recorded)
    assert found["digest"] == dataset.digest
    assert found["modes"]["demo"]["success_rate"] == 1.0
    assert found["human_share"] == 1.0
    assert found["transitions"] == sum(row["steps"] for row in found["list"])
    assert found["spec"]["name"] == "franka_reach"
    assert data("show", recorded, "--episodes") == 0
    table = capsys.readouterr().out
    assert dataset.digest in table
    assert found["spec"]["observation"][0]["name"] in table
    assert "000001.mcap" in table


def test_a_contact_sheet_shows_three_frames_of_each_episode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run(tmp_path / "a", [Plan()] * 5)
    sizes = []
    for most in (5, 2):
        sheet = tmp_path / f"{most}.png"
        assert data("show", tmp_path / "a", "--sheet", sheet, "--sheet-episodes", most) == 0
        assert f"sheet    {sheet}" in capsys.readouterr().out
        with Image.open(sheet) as picture:
            sizes.append(picture.size)
    # Six frames a row, each of two pictures of 6 x 4 pixels side by side, with gaps of 4 and a line of 12.
    assert sizes == [(6 * 16 + 4, 3 * 20 + 4), (6 * 16 + 4, 20 + 4)]


def test_a_sheet_of_no_pictures_is_an_error(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("show", recorded, "--sheet", recorded / "sheet.png") == 1
    assert "there are no pictures" in capsys.readouterr().err


def test_episodes_are_chosen_by_mode_and_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_run(tmp_path)
    assert data("show", tmp_path, "--modes", "demo", "train", "--outcome", "success", "--json") == 0
    assert [row["episode"] for row in said(capsys)["list"]] == [0, 2]
    assert data("show", tmp_path, "--modes", "eval", "--json") == 1
    assert "no episode is of these modes" in capsys.readouterr().err


def test_data_sets_are_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, words = tmp_path / "a", ("--json", "--out")
    record_run(source)
    assert (
        data("trim", source, "--first", 1, "--last", "0.2s", "--episodes", "0,2", *words, tmp_path / "b") == 0
    )
    trimmed = said(capsys)
    assert (trimmed["episodes"], trimmed["transitions"]) == (4, 6)
    assert data("trim", source, "--drop", "1-2", *words, tmp_path / "c") == 0
    assert said(capsys)["episodes"] == 2
    assert data("relabel", tmp_path / "b", "--success", "0", "--failure", "3", *words, tmp_path / "d") == 0
    relabelled = Dataset.open(tmp_path / "d")
    assert said(capsys)["digest"] == relabelled.digest
    assert [info.result.success for info in relabelled.episodes] == [True, False, False, False]
    frames = ("--episode", 3, "--frames", "2:4", "--stage", 1)
    assert data("relabel", source, *frames, *words, tmp_path / "e") == 0
    labelled = Dataset.open(tmp_path / "e")
    assert [(c.first, c.last, c.stage) for c in labelled.corrections(labelled.find(3))] == [(2, 4, 1)]
    capsys.readouterr()
    assert data("merge", tmp_path / "b", tmp_path / "e", *words, tmp_path / "f") == 0
    merged = said(capsys)
    assert (merged["episodes"], merged["transitions"]) == (8, 18)
    assert data("show", tmp_path / "f") == 0
    assert "merge of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trim", "--first", "1"), "where to? Give --out"),
        (("trim", "--out", "x"), "nothing to trim"),
        (("trim", "--out", "x", "--first", "1h"), "'1h' is no length"),
        (("trim", "--out", "x", "--last", "-1s"), "'-1s' is no length"),
        (("trim", "--out", "x", "--drop", "1-"), "'1-' is no list of episodes"),
        (("trim", "--out", "x", "--drop", "8"), "there is no episode 8; there are: 0-3"),
        (("relabel", "--out", "x"), "nothing to relabel"),
        (("relabel", "--out", "x", "--success", "7"), "there is no episode 7; there are: 0-3"),
        (("relabel", "--out", "x", "--success", "0-2", "--failure", "2"), "cannot be both"),
        (("relabel", "--out", "x", "--episode", "3", "--stage", "1"), "together"),
        (("relabel", "--out", "x", "--episode", "3", "--stage", "1", "--frames", "a"), "expected A:B"),
    ],
)
def test_mistakes_are_explained(
    tmp_path: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run(tmp_path)
    assert data(words[0], tmp_path, *words[1:]) == 1
    assert message in capsys.readouterr().err
    assert not Path("x").exists()


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert data("--help") == 0
    text = capsys.readouterr().out
    for name in ("list", "show", "trim", "relabel", "merge", "export", "import"):
        assert f"\n  {name} " in text
    assert data("lst") == 1
    assert "did you mean 'list'" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_a_data_set_goes_to_another_format_and_back(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run(tmp_path / "a", [Plan(), Plan(Mode.TRAIN)])
    file = tmp_path / f"a.{suffix}"
    assert data("export", tmp_path / "a", "--format", suffix, "--out", file, "--json") == 0
    digest = said(capsys)["digest"]
    assert data("import", file, "--out", tmp_path / "b", "--json") == 0
    assert said(capsys)["digest"] == digest


def test_a_data_set_goes_to_lerobot_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_run(tmp_path / "a", [Plan(), Plan(Mode.TRAIN)])
    words = ("--images", "png", "--json", "--out")
    assert data("export", tmp_path / "a", *words, tmp_path / "lerobot") == 0
    digest = said(capsys)["digest"]
    assert json.loads((tmp_path / "lerobot" / "meta" / "info.json").read_text())["total_episodes"] == 2
    assert data("import", tmp_path / "lerobot", "--out", tmp_path / "b", "--json") == 0
    assert said(capsys)["digest"] == digest
    wrong = ("--task", "franka_reach", "--out", tmp_path / "c")
    assert data("import", tmp_path / "lerobot", *wrong) == 1
    assert "does not fit the wanted task" in capsys.readouterr().err
    assert data("import", tmp_path / "lerobot", "--map", "action", "--out", tmp_path / "c") == 1
    assert "ARRAY=FEATURE" in capsys.readouterr().err
