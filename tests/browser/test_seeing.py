"""An operator sees what the robot sees, labels it, and looks at the robot in 3-D."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from robot_rl.core.types import Mode
from robot_rl.data.episode_log import read, read_info
from robot_rl.data.json_messages import Intervention, decode
from tests.browser.pages import operator
from tests.ros.graphs import PIXELS, Graph, pixels, reach, running

pytestmark = pytest.mark.ros

OPTIONS = {"clock": "realtime", "person": "operator", "policy": "hold", "console": True, "console_port": 0}
BRIGHTEST = """canvas => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return Math.max(...pixels.filter((_, i) => i % 4 < 3));
}"""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    # Pictures as they are, without PyTorch's process, and late ones too: the browser takes the CPU's time.
    config = pixels(
        encoder__kind="trainable",
        max_object_age=10.0,
        reward="person",
        goal__time_limit=120.0,
        learner__demonstrations=0,
        session__label_episodes=1,
        session__max_steps=0,
    )
    with running(tmp_path / "run", config, PIXELS, **OPTIONS) as graph:
        yield graph


def test_she_sees_pictures_and_labels_them(graph, chromium):
    with operator(chromium, graph) as she:
        page = she.page
        she.waits_for("#says", "Start begins episode 1 of 1 for labels")
        she.takes_control()
        pictures = page.locator(".camera canvas[data-shown]")
        she.waits_until(lambda: pictures.count() == 2)
        assert all(picture.evaluate(BRIGHTEST) > 50 for picture in pictures.element_handles())
        first = [picture.get_attribute("data-shown") for picture in pictures.all()]
        she.waits_until(lambda: all(p.get_attribute("data-shown") not in first for p in pictures.all()))

        page.keyboard.press("Enter")
        she.waits_for("#episode_name", "Labels")
        she.waits_for("#says", "Step")
        page.locator("[data-button=label]").hover()
        page.mouse.down()
        page.wait_for_timeout(800)
        page.mouse.up()
        page.keyboard.down("k")
        page.wait_for_timeout(800)
        page.keyboard.up("k")
        page.keyboard.press("1")
        she.waits_for("#says", "undo takes the last episode back")
        page.keyboard.press("Enter")
        graph.run()
    log = next((graph.out / "episodes").glob("*.mcap"))
    assert read_info(log).episode.mode is Mode.LABEL
    labels = {decode(Intervention, m.data).label for _, _, _, m in read(log, {"intervention/event"})}
    assert labels == {-1, 0, 1}


def test_the_robot_is_drawn_in_3d_and_the_keys_there_are_the_pages(tmp_path, chromium):
    only = ("robot", "console")
    with (
        running(tmp_path / "run", reach(), only=only, **OPTIONS) as graph,
        operator(chromium, graph, scene=True) as she,
    ):
        page = she.page
        canvas = page.frame_locator("#scene iframe").locator("canvas").first
        canvas.wait_for(state="visible")

        def colours() -> int:
            """Different colours of the view, of which an empty one has a few."""
            with Image.open(io.BytesIO(page.screenshot())) as image:
                view = image.convert("RGB").crop((60, 120, 600, 480))
            return len(view.getcolors(maxcolors=view.width * view.height) or ())

        she.waits_until(lambda: colours() > 1000)
        page.mouse.click(300, 200)
        page.keyboard.press("Escape")
        she.waits_for("#fault_reason", "emergency stop")
        page.locator("#scene button").click()
        canvas.wait_for(state="detached")
