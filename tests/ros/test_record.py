"""`robot-rl record` with a device, from the operator's side: keep, take back, stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from robot_rl.core.types import Mode
from robot_rl.data.views import episodes, transitions
from robot_rl.nodes.run import GRAPH
from tests.ros.graphs import PATIENCE
from tests.ros.operators import operating

SETTINGS = ["--goal.time-limit", "8.0", "--learner.hidden", "8"]


def record(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "robot_rl", "record", "franka_reach", "--json", "--out", str(out)]
    command += ["--device", "console", "--console-port", "0", *SETTINGS, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Recording:
    """A running `robot-rl record`, as a probe watches a graph."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self.process = process
        self.out = out

    def check(self) -> None:
        assert self.process.poll() is None, self.process.communicate()

    def all_logs(self) -> str:
        return "\n".join(p.read_text() for p in sorted((self.out / "logs").glob("*.log")))


def test_an_operator_records_takes_back_and_stops_early(tmp_path: Path) -> None:
    out = tmp_path / "run"
    recording = Recording(record(out, "--episodes", "5"), out)
    try:
        with operating(recording) as operator:
            operator.wait_for("waiting", "demonstrations")
            operator.probe.wait(lambda: "console: http" in recording.all_logs())
            joins = json.loads((out / GRAPH).read_text())
            assert (joins["task"], joins["clock"], joins["person"]) == (
                "franka_reach",
                "realtime",
                "operator",
            )
            assert joins["pid"] == recording.process.pid
            assert joins["environment"]["ROS_DOMAIN_ID"] == os.environ["ROS_DOMAIN_ID"]
            operator.show()
            operator.tell("undo")
            operator.wait_for("waiting")
            operator.probe.wait(lambda: operator.state.undo == -1)
            operator.show()
            recording.process.send_signal(signal.SIGINT)
            printed, said = recording.process.communicate(timeout=PATIENCE)
    finally:
        recording.process.kill()
    assert recording.process.returncode == 0, said
    assert "console: http://127.0.0.1:" in said
    report = json.loads(printed)
    assert (report["episodes"], report["taken_back"], report["device"]) == (1, 1, "console")
    assert report["success_length"] > 3
    assert not (out / GRAPH).exists()
    kept = [info for info in episodes(out, [Mode.DEMO], "success")]
    assert [info.episode.index for info in kept] == [1]
    assert len(list(transitions(out))) == report["success_length"]
