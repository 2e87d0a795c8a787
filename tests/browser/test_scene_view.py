"""The 3-D view in a browser: it draws, it shows no panel of viser's own, and its handle can be dragged."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from aiohttp import web
from PIL import Image
from playwright.sync_api import Browser, Page

from robot_rl.console.proxy import SceneProxy
from robot_rl.console.scene import VIEW_AT, VIEW_FOV, VIEW_FROM, Scene3D
from robot_rl.core.types import ArmState, Pose
from sim.arm.kinematics import inverse
from sim.arm.scene import tool_down
from sim.arm.settings import ArmSimConfig

WIDTH, HEIGHT = 420, 330
PATIENCE = 60.0
TCP = tool_down(np.array([0.46, -0.02, 0.21]), 0.0)


class Served:
    """A scene behind its proxy, and what becomes of its handle."""

    def __init__(self, scene: Scene3D) -> None:
        self.scene = scene
        self.heard: list[Pose | None] = []
        self.root = ""
        self._ready, self._loop, self._end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def drag(self, key: str, wanted: Pose | None) -> bool:
        self.heard.append(wanted)
        self.scene.drag(wanted)
        return True

    async def _serve(self) -> None:
        app = web.Application()
        SceneProxy(self.scene.port, self.drag).mount(app)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    @contextmanager
    def running(self) -> Iterator[Served]:
        self._thread.start()
        self._ready.wait(PATIENCE)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
            self._loop.close()


@pytest.fixture
def served() -> Iterator[Served]:
    q = inverse(TCP)
    with Scene3D(ArmSimConfig()) as scene, Served(scene).running() as served:
        scene.update(ArmState(0, q, 0 * q, TCP, np.zeros(6), np.zeros(6), 0.06, False, TCP))
        scene.show_handle(True)
        yield served


def pixel(point: np.ndarray) -> np.ndarray:
    """Where the first view shows a point of the base frame."""
    ahead = np.subtract(VIEW_AT, VIEW_FROM) / np.linalg.norm(np.subtract(VIEW_AT, VIEW_FROM))
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    ray = point - np.array(VIEW_FROM)
    focal = HEIGHT / 2 / np.tan(VIEW_FOV / 2)
    offset = np.array([ray @ right, -(ray @ np.cross(right, ahead))])
    return np.array([WIDTH, HEIGHT]) / 2 + focal * offset / (ray @ ahead)


def is_drawn(page: Page) -> bool:
    """The arm is white, and all around it is dark."""
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))
    return bool(0.02 < (picture > 180).mean() < 0.3)


def test_it_draws_and_its_handle_can_be_dragged(served: Served, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.set_default_timeout(1000.0 * PATIENCE)
    elsewhere: list[str] = []
    errors: list[str] = []
    page.on("request", lambda r: elsewhere.append(r.url) if "127.0.0.1" not in r.url[:40] else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(f"{served.root}/scene/key/?darkMode")
        deadline = time.monotonic() + PATIENCE
        while not is_drawn(page):
            assert time.monotonic() < deadline, f"nothing is drawn: {errors}"
            page.wait_for_timeout(100)
        for width in (WIDTH, 900):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            assert not page.get_by_text("Save Canvas").is_visible()
            assert not page.get_by_text("robot_rl").is_visible()
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

        # By the shaft of its x arrow, until the page has taken hold of it.
        start, end = (pixel(TCP.position + x * np.eye(3)[0]) for x in (0.10, 0.22))
        while not any(pose is not None and pose.position[0] > 0.5 for pose in served.heard):
            assert time.monotonic() < deadline, f"the handle does not move: {served.heard}"
            page.mouse.move(*start)
            page.wait_for_timeout(300)
            page.mouse.down()
            for share in (0.3, 0.6, 1.0):
                page.mouse.move(*(start + share * (end - start)))
                page.wait_for_timeout(200)
            page.mouse.up()
            page.wait_for_timeout(300)
        while served.heard[-1] is not None:
            assert time.monotonic() < deadline, "the handle is not let go"
            page.wait_for_timeout(50)
        wanted = max((pose for pose in served.heard if pose is not None), key=lambda pose: pose.position[0])
        np.testing.assert_allclose(wanted.position[1:], TCP.position[1:], atol=1e-3)
        assert abs(wanted.quaternion @ TCP.quaternion) == pytest.approx(1.0, abs=1e-4)
    finally:
        page.close()
    assert [url for url in elsewhere if not url.startswith(("data:", "blob:"))] == []
    assert errors == []
