"""The 3-D scene as a browser meets it: through the console's server, in viser's own messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest
import viser
import zstandard
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from robot_rl.console.proxy import SceneProxy
from robot_rl.console.scene import Scene3D
from robot_rl.console.scene_objects import box_edges, split_creases
from robot_rl.core.frames import IDENTITY_QUATERNION, compose, matrix_from_quaternion, xyzw_from_wxyz
from robot_rl.core.types import ArmState, Pose
from sim.arm.cameras import TableCameras
from sim.arm.kinematics import inverse
from sim.arm.mujoco_plant import build_spec
from sim.arm.puppet import Puppet
from sim.arm.scene import tool_down
from sim.arm.settings import ArmSimConfig, SceneConfig

PATIENCE = 20.0
CONFIG = ArmSimConfig(scene=SceneConfig(kind="cube"))
CAMERA = {"wxyz": [1, 0, 0, 0], "position": [0, 0, 1], "look_at": [1, 0, 0], "up_direction": [0, 0, 1]}
CAMERA |= {"fov": 1.0, "near": 0.1, "far": 10.0, "image_height": 100, "image_width": 100}
CUBE = Pose(np.array([0.45, 0.1, 0.02]), np.array([0.0, 0.0, 0.6, 0.8]))


def state_at(x: float, y: float = 0.1, z: float = 0.2, width: float = 0.05) -> ArmState:
    tcp = tool_down(np.array([x, y, z]), 0.3)
    target = tool_down(np.array([x + 0.02, y, z]), 0.25)
    q = inverse(tcp)
    return ArmState(0, q, 0 * q, tcp, np.zeros(6), np.zeros(6), width, False, target)


class Browser:
    """Keeps the scene that it is sent, as viser's page does."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.made: dict[str, dict[str, Any]] = {}
        self.visible: dict[str, bool] = {}
        self.poses: dict[str, dict[str, Any]] = {}
        self.messages = 0

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_bytes(msgspec.msgpack.encode({"type": kind} | fields))

    async def drag(self, position: Any) -> None:
        fields = {
            "name": "/handle",
            "owner": "",
            "wxyz": [0.0, 1.0, 0.0, 0.0],
            "position": [float(v) for v in position],
        }
        await self.say("TransformControlsUpdateMessage", **fields)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not reached():
                message = await self.socket.receive()
                assert message.type is WSMsgType.BINARY, message
                self._take(message.data)

    async def quiet(self, seconds: float) -> int:
        """How many messages come within some time."""
        before, end = self.messages, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                message = await self.socket.receive(timeout=left)
            except TimeoutError:
                break
            self._take(message.data)
        return self.messages - before

    def _take(self, data: bytes) -> None:
        packed = int.from_bytes(data[8:16], "little")
        batch = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data[16 : 16 + packed]))
        for message in batch["messages"]:
            name, kind = message.get("name", ""), message["type"]
            self.messages += 1
            if "props" in message:
                self.made[name] = message
            elif kind == "SetSceneNodeVisibilityMessage":
                self.visible[name] = message["visible"]
            elif kind in ("SetPositionMessage", "SetOrientationMessage"):
                self.poses.setdefault(name, {}).update(message)

    def pose(self, name: str) -> Pose:
        """In the base frame, through all frames that it is in."""
        whole, path = Pose(np.zeros(3), IDENTITY_QUATERNION), ""
        for part in name.strip("/").split("/"):
            path += f"/{part}"
            own = self.poses.get(path, {})
            position = np.array(own.get("position", (0.0, 0.0, 0.0)))
            quaternion = xyzw_from_wxyz(np.array(own.get("wxyz", (1.0, 0.0, 0.0, 0.0))))
            whole = compose(whole, Pose(position, quaternion))
        return whole

    def path(self, link: str) -> str:
        return next(name for name in self.made if name.endswith(f"/{link}"))

    def shows(self, name: str, position: np.ndarray) -> bool:
        return name in self.poses and bool(np.allclose(self.pose(name).position, position, atol=1e-4))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene3D]:
    with Scene3D(CONFIG, ("wrist", "side")) as scene:
        yield scene


class Desk:
    """Decides about the handle."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.heard: list[tuple[str, Pose | None]] = []

    def on_drag(self, key: str, wanted: Pose | None) -> bool:
        self.heard.append((key, wanted))
        return key == self.holder


@asynccontextmanager
async def served(scene: Scene3D, desk: Desk) -> AsyncIterator[str]:
    app = web.Application()
    SceneProxy(scene.port, desk.on_drag).mount(app)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def browsing(
    session: ClientSession, root: str, key: str, version: str = viser.__version__
) -> AsyncIterator[Browser]:
    protocols = [f"viser-v{version}"]
    async with session.ws_connect(f"{root}/scene/{key}", protocols=protocols, max_msg_size=0) as socket:
        browser = Browser(socket)
        await browser.say("ViewerCameraMessage", **CAMERA)
        yield browser


def meet(scene: Scene3D, visit: Callable[[ClientSession, str, Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        desk = Desk("ours")
        async with served(scene, desk) as root, ClientSession() as session:
            await visit(session, root, desk)

    asyncio.run(run())


def test_a_browser_sees_arm_and_objects_where_the_physics_engine_has_them(scene):
    before, after = state_at(0.5), state_at(0.42, -0.1, 0.3, 0.02)
    scene.update(before, {"cube": CUBE})
    puppet = Puppet(build_spec(CONFIG.physics, CONFIG.scene).compile())

    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with browsing(session, root, "ours") as browser, browsing(session, root, "other") as other:
            for state in (before, after):
                scene.update(state)
                for one in (browser, other):
                    await one.until(lambda one=one, s=state: one.shows("/target", s.target.position))
                    puppet.pose(state, {"cube": CUBE})
                    for link in ("link4", "hand", "leftfinger", "rightfinger", "tcp"):
                        pose, body = one.pose(one.path(link)), puppet.data.body(f"panda_{link}")
                        np.testing.assert_allclose(pose.position, body.xpos, atol=1e-4)
                        np.testing.assert_allclose(
                            matrix_from_quaternion(pose.quaternion), body.xmat.reshape(3, 3), atol=1e-4
                        )
                    np.testing.assert_allclose(one.pose("/cube/box").position, puppet.data.body("cube").xpos)
                    assert one.visible["/cube"]
            # The same again is nothing new, and a state without numbers has no place.
            scene.update(after)
            nan = after.q * np.nan
            scene.update(
                ArmState(0, nan, nan, after.tcp, after.twist, after.wrench, 0.0, False, after.target)
            )
            assert await browser.quiet(0.2) == 0

    meet(scene, visit)


def test_the_cameras_are_where_the_pictures_are_taken_from(scene):
    state = state_at(0.5)
    scene.update(state)
    with TableCameras(CONFIG, size=8) as cameras:
        seen = {name: cameras.where(name, state) for name in ("wrist", "side")}

    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with browsing(session, root, "ours") as browser:
            await browser.until(lambda: browser.shows("/target", state.target.position))
            for name, pose in seen.items():
                drawn = browser.pose(browser.path(f"camera_{name}"))
                np.testing.assert_allclose(drawn.position, pose.position, atol=1e-4)
                assert abs(drawn.quaternion @ pose.quaternion) == pytest.approx(1.0, abs=1e-6)

    meet(scene, visit)


def test_the_page_in_control_drags_the_handle_and_others_see_it(scene):
    state, far = state_at(0.5), np.array([0.6, 0.2, 0.3])
    scene.update(state)

    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with browsing(session, root, "other") as other:
            async with browsing(session, root, "ours") as ours:
                scene.show_handle(True)
                for one in (ours, other):
                    await one.until(lambda one=one: one.visible.get("/handle", False))
                    assert one.shows("/handle", state.target.position)
                await other.drag([0.3, 0.3, 0.3])
                await ours.drag(far)
                await other.until(lambda: other.shows("/handle", far))
                wanted = dict(desk.heard)
                np.testing.assert_allclose(wanted["ours"].position, far)

                # While it is held it stays in her hand; let go, it follows the arm again.
                scene.drag(wanted["ours"])
                moved = state_at(0.45)
                scene.update(moved)
                await other.until(lambda: other.shows("/target", moved.target.position))
                assert other.shows("/handle", far)
                scene.drag(None)
                scene.update(moved)
                await other.until(lambda: other.shows("/handle", moved.target.position))
            async with asyncio.timeout(PATIENCE):  # a page that goes has let go
                while desk.heard[-1] != ("ours", None):
                    await asyncio.sleep(0.01)
            scene.show_handle(False)
            await other.until(lambda: not other.visible["/handle"])

    meet(scene, visit)


def test_a_page_that_sends_garbage_is_closed_and_the_others_stay(scene):
    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with browsing(session, root, "other") as other, browsing(session, root, "ours") as ours:
            await other.until(lambda: "/cube" in other.made)
            await ours.socket.send_bytes(b"\xc1garbage")
            async with asyncio.timeout(PATIENCE):
                while (await ours.socket.receive()).type is WSMsgType.BINARY:
                    pass
            assert ours.socket.close_code == 1008
            state = state_at(0.41)
            scene.update(state)
            await other.until(lambda: other.shows("/target", state.target.position))

    meet(scene, visit)


def test_a_page_of_another_version_is_told_so(scene):
    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with browsing(session, root, "ours", version="0.0.1") as browser:
            async with asyncio.timeout(PATIENCE):
                assert (await browser.socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
            assert browser.socket.close_code == 1002

    meet(scene, visit)


def test_the_page_is_visers_own_and_loads_nothing_from_elsewhere(scene):
    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with session.get(f"{root}/scene/ours/") as answer:
            html = await answer.text()
            policy = answer.headers["Content-Security-Policy"]
            tag = answer.headers["ETag"]
        assert "</style></head>" in html
        assert "connect-src 'self'" in policy
        assert "http" not in policy.replace("https://", "http")
        async with session.get(f"{root}/scene/ours/", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304
        async with session.get(f"{root}/scene/ours", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, "/scene/ours/")

    meet(scene, visit)


def test_a_scene_that_has_ended_is_told_and_ends_its_pages():
    scene = Scene3D(CONFIG)

    async def visit(session: ClientSession, root: str, desk: Desk) -> None:
        async with browsing(session, root, "ours") as browser:
            await browser.until(lambda: "/cube" in browser.made)
            await asyncio.to_thread(scene.close)
            async with asyncio.timeout(PATIENCE):
                while (await browser.socket.receive()).type is WSMsgType.BINARY:
                    pass
        async with session.get(f"{root}/scene/ours/") as answer:
            assert answer.status == 502
            assert "start the console again" in await answer.text()

    meet(scene, visit)


def test_a_box_gets_sharp_edges_and_a_ball_stays_smooth():
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))])
    vertices, split = split_creases(corners, faces)
    assert len(vertices) == 24
    np.testing.assert_array_equal(vertices[split], corners[faces])

    turns = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    ring = np.array([[np.cos(a), np.sin(a), z] for a in turns for z in (0.0, 1.0)])
    around = [(2 * i, (2 * i + 2) % 48, 2 * i + 1) for i in range(24)]
    around += [((2 * i + 2) % 48, (2 * i + 3) % 48, 2 * i + 1) for i in range(24)]
    smooth, _ = split_creases(ring, np.array(around))
    assert len(smooth) == len(ring)


def test_the_edges_of_a_box():
    edges = box_edges((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    lengths = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    assert sorted(lengths) == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
