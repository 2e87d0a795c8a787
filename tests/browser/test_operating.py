"""An operator at her page: she shows the task, corrects the policy, and stops the robot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_rl.nodes.results_file import read_results
from tests.browser.pages import operator
from tests.ros.graphs import Graph, reach, running

pytestmark = pytest.mark.ros

OPTIONS = {
    "clock": "realtime",
    "person": "operator",
    "policy": "hold",
    "record": False,
    "console": True,
    "console_port": 0,
}


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    config = reach(goal__time_limit=60.0, learner__demonstrations=1)
    with running(tmp_path / "run", config, **OPTIONS) as graph:
        yield graph


def test_she_demonstrates_corrects_stops_and_goes_on(graph, chromium):
    with operator(chromium, graph) as she:
        page = she.page
        she.waits_for("#says", "Start begins demonstration 1")
        assert page.locator("[data-command=start]").is_disabled()
        she.takes_control()

        page.keyboard.press("Enter")
        she.waits_for("#who_name", "You")
        she.waits_for("#says", "Step")
        x = she.number("#x output")
        she.drives("w", lambda: she.number("#x output") > x + 0.03)
        page.keyboard.press("1")
        she.waits_for("#says", "undo takes the last episode back")
        page.keyboard.press("u")
        she.waits_for("#says", "Start begins demonstration 1")
        page.keyboard.press("Enter")
        she.waits_for("#says", "Step")
        page.keyboard.press("1")
        she.waits_for("#says", "lets the policy practise")

        page.keyboard.press("Enter")
        she.waits_for("#who_name", "The policy")
        she.waits_for("#says", "Step")
        page.keyboard.press("Space")
        she.waits_for("#who_name", "You")
        z = she.number("#z output")
        she.drives("e", lambda: she.number("#z output") > z + 0.02)
        page.locator("[data-toggle=take_over]").click()
        she.waits_for("#who_name", "The policy")

        page.keyboard.press("Escape")
        she.waits_for("#fault_reason", "emergency stop")
        she.waits_for("#who_name", "Stopped")
        assert "clear" in she.reads("#fault_advice")
        page.locator("#clear").click()
        page.locator("#clear_no").click()
        assert page.locator("#fault").is_visible()
        page.locator("#clear").click()
        page.locator("#clear_yes").click()
        page.locator("#fault").wait_for(state="hidden")
        she.waits_for("#says", "The emergency stop was cleared: start lets the policy practise")
        page.keyboard.press("Enter")
        she.waits_for("#says", "Step")

        page.keyboard.press("t")
        she.waits_for("#control", "Take control")
    results = list(read_results(graph.out / "results.jsonl"))
    assert sum(result.success for result in results) >= 1


def test_two_look_and_one_controls_but_both_may_stop(graph, chromium):
    with operator(chromium, graph) as she, operator(chromium, graph) as he:
        she.takes_control()
        he.waits_for("#control", "operator 1 has control")
        assert he.page.locator("#control").is_disabled()
        he.page.locator("#e_stop").dispatch_event("pointerdown")
        she.waits_for("#fault_reason", "operator 2")
        she.page.close()
        he.waits_for("#control", "Take control")
        he.takes_control()
