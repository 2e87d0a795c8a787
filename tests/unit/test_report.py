from __future__ import annotations

from robot_rl.cli.report import print_columns, print_table


def test_a_table_shows_brackets_as_they_are(capsys):
    print_table("runs/[old]", [("extra [x]", "pip install 'robot-rl[devices]'")])
    print_columns("runs/[new]", ("[a]", "b"), [("[red]", "[/]")])
    shown = capsys.readouterr().out
    for text in ("runs/[old]", "extra [x]", "robot-rl[devices]", "runs/[new]", "[a]", "[red]", "[/]"):
        assert text in shown
