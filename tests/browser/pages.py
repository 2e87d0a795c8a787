"""The operator's page in a browser, and the graph behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from tests.ros.graphs import Graph

WIDTH, HEIGHT = 1280, 800
PATIENCE = 60.0
"""Longest that a test waits for something on the page [s]."""


class Operator:
    """Somebody at a page."""

    def __init__(self, page: Page, graph: Graph) -> None:
        self.page = page
        self.graph = graph
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(1000.0 * PATIENCE)

    def reads(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def waits_for(self, selector: str, pattern: str) -> None:
        """Wait until the text there contains what `pattern` describes."""
        where = self.page.locator(selector).filter(has_text=re.compile(pattern))
        where.first.wait_for(state="visible")

    def waits_until(self, ready: Callable[[], Any]) -> None:
        self.graph.wait(lambda: self.page.wait_for_timeout(50) or ready())

    def number(self, selector: str) -> float:
        found = re.match(r"-?[\d.]+", self.reads(selector))
        assert found is not None
        return float(found.group())

    def drives(self, key: str, ready: Callable[[], Any]) -> None:
        """Hold a key down until something has come of it."""

        def driven() -> bool:
            if "Take control" in self.reads("#control"):  # this machine was too busy to hear her for a second
                self.page.keyboard.press("t")
            return ready()

        self.page.keyboard.down(key)
        self.waits_until(driven)
        self.page.keyboard.up(key)

    def takes_control(self) -> None:
        self.page.locator("#control").click()
        self.waits_for("#control", "Give control back")


def address(graph: Graph) -> str:
    """Where the console of a graph serves its page; waits until it does."""
    found: list[str] = []

    def served() -> bool:
        found[:] = re.findall(r"^console: (\S+)$", graph.log("console"), re.MULTILINE)
        return bool(found)

    graph.wait(served)
    return found[-1]


@contextmanager
def operator(browser: Browser, graph: Graph, scene: bool = False) -> Iterator[Operator]:
    """Open the page. A browser without a graphics card shows the 3-D view only on request."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    if scene:
        context.add_init_script("localStorage.setItem('robot_rl.scene', 'on')")
    person = Operator(context.new_page(), graph)
    try:
        person.page.goto(address(graph))
        person.waits_for("#robot", "robot")
        yield person
        assert not person.errors
    finally:
        context.close()
