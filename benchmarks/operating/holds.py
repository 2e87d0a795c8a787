"""How long it takes until the arm holds: after an emergency stop, and after the end of a process."""

from __future__ import annotations

import random
import time
from functools import partial

from .graph import Graph
from .hands import Page


def stops(graph: Graph, page: Page, trials: int) -> list[float]:
    """From the page's emergency stop to an arm held by a fault [s]."""
    delays = []
    for _ in range(trials):
        graph.get_going(page)
        time.sleep(random.uniform(0.1, 0.3))
        delays.append(graph.held_after(page.e_stop(), faulty=True))
        page.clear_fault()
        graph.wait(lambda: not graph.heard.safety[-1][1].fault, "a cleared fault", 10.0)
    return delays


def ends(graph: Graph, name: str, trials: int) -> list[float]:
    """From the end of a process to an arm that holds [s]."""
    delays = []
    for _ in range(trials):
        page = graph.open_page()
        graph.get_going(page)
        if name in ("console", "intervention"):
            graph.wait(partial(_takes_over, graph, page), "the operator in control")
        time.sleep(random.uniform(0.3, 0.5))
        delays.append(graph.held_after(graph.kill(name)))
        page.close()
        graph.wait(lambda: graph.supervisor.processes[name].popen.poll() is None, f"a new {name}")
        time.sleep(1.5)  # a process counts when it has kept time for a while
    return delays


def _takes_over(graph: Graph, page: Page) -> bool:
    page.press("take_over")
    page.hands(x=0.3)
    time.sleep(0.2)
    control = graph.heard.control
    return bool(control) and control[-1][1].who not in ("policy", "")
