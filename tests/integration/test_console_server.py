"""The console's server, met as a browser meets it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from PIL import Image

from robot_rl.console.access import Access
from robot_rl.console.desk import Notice
from robot_rl.console.model import Model, Setup
from robot_rl.console.server import MOST_ERRORS, Server
from robot_rl.core.errors import ConfigError
from robot_rl.core.types import DeviceState, StampedImage

PATIENCE = 20.0
PICTURE = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)


class Graph:
    """Satisfies the console's `Graph`."""

    def __init__(self) -> None:
        self.did: list[tuple[Any, ...]] = []

    def command(self, who: str, name: str) -> None:
        self.did.append(("command", who, name))

    def e_stop(self, reason: str) -> bool:
        self.did.append(("e_stop", reason))
        return True

    def clear_fault(self, on_answer: Callable[[bool, str], None]) -> None:
        on_answer(True, "")

    def send(self, who: str, hands: DeviceState) -> None:
        self.did.append(("send", who, hands.axes.tolist(), sorted(hands.buttons)))


class Console:
    """A running server."""

    def __init__(
        self, token: str = "", host: str = "127.0.0.1", port: int = 0, scene_port: int | None = None
    ) -> None:
        self.graph, self.model = Graph(), Model()
        self.said: list[str] = []
        setup = Setup("reach", "", "operator", ("start", "pause"), ("wrist", "side"), (0.8,), 10.0, False)
        self.server = Server(
            self.graph, self.model, setup, Access(token), host, port, self.said.append, scene_port
        )
        self.server.start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@contextmanager
def served(**options: Any) -> Iterator[Console]:
    console = Console(**options)
    try:
        yield console
    finally:
        console.server.close()
        console.server.check()


class Browser:
    """One page's WebSocket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.name = ""

    async def say(self, message: object) -> None:
        await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def hear(self, kind: str, wanted: Callable[[Any], Any] = lambda message: True) -> Any:
        """The next message of a type, or the next picture for "picture", that is wanted."""
        async with asyncio.timeout(PATIENCE):
            async for message in self.socket:
                found = "picture" if message.type is WSMsgType.BINARY else message.json()["type"]
                data = message.data if message.type is WSMsgType.BINARY else message.json()
                if found == kind and wanted(data):
                    return data
        raise AssertionError(f"closed with {self.socket.close_code} before a {kind!r} came")

    async def closed(self) -> int | None:
        async with asyncio.timeout(PATIENCE):
            async for _ in self.socket:
                pass
        return self.socket.close_code


@asynccontextmanager
async def browsing(console: Console, **headers: str) -> AsyncIterator[Browser]:
    async with (
        ClientSession() as session,
        session.ws_connect(f"{console.root}/ws", headers=headers) as socket,
    ):
        browser = Browser(socket)
        browser.name = (await browser.hear("setup"))["you"]
        yield browser


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await work

    asyncio.run(bounded())


async def until(ready: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not ready():
            await asyncio.sleep(0.01)


def hands(*buttons: str, x: float = 0.0) -> dict[str, Any]:
    return {"type": "hands", "axes": [x, 0, 0, 0, 0, 0], "buttons": list(buttons)}


def test_the_page_and_its_files_are_served_and_nothing_else():
    async def visit(console: Console) -> None:
        async with ClientSession() as session:
            async with session.get(f"{console.root}/") as answer:
                text = await answer.text()
                assert (
                    answer.status == 200
                    and "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
                )
            names = {part.split('"')[0] for part in text.split('"/page/')[1:]}
            assert {"main.js", "theme.css"} <= names
            for name in names:
                async with session.get(f"{console.root}/page/{name}") as answer:
                    assert answer.status == 200, name
            for path in ("/page/..%2fserver.py", "/page/%2fetc%2fpasswd", "/page/none.js", "/server.py"):
                async with session.get(console.root + path) as answer:
                    assert answer.status == 404, path

    with served() as console:
        run(visit(console))


def test_a_key_goes_to_the_graph_and_a_page_that_goes_lets_go():
    async def operate(console: Console) -> None:
        async with browsing(console) as ann:
            await ann.say({"type": "control", "take": True})
            await ann.hear("state", lambda state: state["holder"] == ann.name)
            await ann.say(hands("close", x=1.0))
            await until(lambda: console.graph.did)
            assert console.graph.did[0] == ("send", ann.name, [1, 0, 0, 0, 0, 0], ["close"])
        await until(lambda: len(console.graph.did) == 2)
        assert console.graph.did[1] == ("send", ann.name, [0] * 6, [])

    with served() as console:
        run(operate(console))


def test_a_page_that_says_nothing_more_is_let_go_of_and_the_next_one_may_control():
    async def operate(console: Console) -> None:
        async with browsing(console) as ann, browsing(console) as bob:
            await ann.say({"type": "control", "take": True})
            await ann.say(hands(x=1.0))
            await ann.hear("state", lambda state: state["holder"] == ann.name)
            await bob.say({"type": "control", "take": True})
            assert (await bob.hear("notice"))["text"].startswith(f"{ann.name} has control")
            await until(lambda: console.graph.did[-1] == ("send", ann.name, [0] * 6, []))
            await bob.hear("state", lambda state: state["holder"] == "")
            assert "silent" in (await ann.hear("notice"))["text"]
            await bob.say({"type": "control", "take": True})
            await bob.hear("state", lambda state: state["holder"] == bob.name)

    with served() as console:
        run(operate(console))


def test_what_is_wrong_goes_back_to_the_page_and_into_the_log():
    async def misbehave(console: Console) -> None:
        async with browsing(console) as ann, browsing(console) as bob:
            await ann.say('{"type": "hands", "axes": [NaN, 0, 0, 0, 0, 0], "buttons": []}')
            notice = await ann.hear("notice")
            assert "NaN" in notice["text"] and notice["bad"]
            await ann.socket.send_bytes(b"\0")
            assert "bytes" in (await ann.hear("notice"))["text"]
            await ann.say("x" * 5000)
            assert "more than" in (await ann.hear("notice"))["text"]
            assert console.said[0].startswith(f"{ann.name}: ") and len(console.said) == 3
            for _ in range(MOST_ERRORS):
                await ann.say("nonsense")
            assert await ann.closed() == 1008
            await bob.say({"type": "e_stop"})
            await until(lambda: console.graph.did)
            assert console.graph.did == [("e_stop", f"{bob.name}, on the console")]
        async with browsing(console) as eve:
            await eve.say("x" * 100_000)
            assert await eve.closed() == 1009

    with served() as console:
        run(misbehave(console))


def test_a_page_sees_what_the_model_has_and_pictures_while_somebody_looks():
    async def look(console: Console) -> None:
        model = console.model
        model.put("probability", {"stages": [0.25]})
        model.put_curves([1, 2])
        assert not model.watched
        async with browsing(console) as ann:
            assert model.watched
            assert (await ann.hear("curves"))["curves"] == [1, 2]
            state = await ann.hear("state")
            assert state["probability"] == {"stages": [0.25]} and state["arm"] is None
            assert state["ages"]["probability"] >= 0.0
            model.put_picture("side", StampedImage(5, PICTURE))
            data = await ann.hear("picture")
            assert data[0] == 1
            assert Image.open(io.BytesIO(data[1:])).size == (32, 24)
            model.put_curves([3])
            assert (await ann.hear("curves"))["curves"] == [3]
            await ann.say({"type": "watch", "cameras": False})
            await until(lambda: not model.watched)
        async with browsing(console):
            assert model.watched
        await until(lambda: not model.watched)

    with served() as console:
        run(look(console))


def test_other_sites_open_nothing():
    async def intrude(console: Console) -> None:
        async with ClientSession() as session:
            for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
                async with session.get(f"{console.root}/", headers=headers) as answer:
                    assert answer.status == 403, headers
                with pytest.raises(WSServerHandshakeError, match="403"):
                    await session.ws_connect(f"{console.root}/ws", headers=headers)
        async with browsing(console, Origin=console.root) as ann:
            assert ann.name

    with served() as console:
        run(intrude(console))


def test_a_token_is_wanted_once_and_a_wrong_one_is_refused():
    async def visit(console: Console) -> None:
        assert console.server.url.endswith("/?token=secret")
        async with ClientSession() as session:
            for path in ("/", "/?token=", "/?token=Secret", "/page/main.js", "/ws"):
                async with session.get(console.root + path) as answer:
                    assert answer.status == 403, path
                    assert "console.token" in await answer.text()
            with pytest.raises(WSServerHandshakeError, match="403"):
                await session.ws_connect(f"{console.root}/ws?token=wrong")
        from aiohttp import CookieJar

        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.get(f"{console.root}/?token=secret") as answer:
                assert answer.status == 200 and "token" not in str(answer.url)
                cookie = answer.history[0].cookies[f"robot_rl_{console.server.port}"]
                assert cookie["httponly"] and cookie["samesite"] == "Strict"
            async with session.ws_connect(f"{console.root}/ws") as socket:
                assert (await socket.receive_json())["type"] == "setup"

    with served(token="secret") as console:
        run(visit(console))


def test_a_port_that_is_taken_is_named():
    with served() as console, pytest.raises(ConfigError, match="choose another port"):
        Console(port=console.server.port)


def test_numbers_that_are_not_finite_reach_no_page():
    async def look(console: Console) -> None:
        console.model.put("probability", {"stages": [float("nan")], "of": {"x": float("inf")}})
        async with browsing(console) as ann:
            state = await ann.hear("state")
            assert state["probability"] == {"stages": [None], "of": {"x": None}}

    with served() as console:
        run(look(console))


def test_a_page_keeps_its_key_over_a_lost_connection_and_nobody_has_two_of_it():
    key = "0123456789abcdef" * 2

    async def connect(console: Console) -> None:
        async with ClientSession() as session:

            async def scene(given: str) -> tuple[ClientWebSocketResponse, str]:
                socket = await session.ws_connect(f"{console.root}/ws?key={given}")
                return socket, (await socket.receive_json())["scene"]

            first, own = await scene(key)
            second, other = await scene(key)
            third, strange = await scene("../x")
            assert own == f"/scene/{key}/"
            assert len({own, other, strange}) == 3 and "x" not in strange
            for socket in (first, second, third):
                await socket.close()
            again, same = await scene(key)
            assert same == own
            await again.close()

    with served(scene_port=1) as console:
        run(connect(console))


def test_all_pages_or_one_are_told():
    async def listen(console: Console) -> None:
        async with browsing(console) as ann, browsing(console) as bob:
            console.server.tell(bob.name, Notice("for bob"))
            console.server.tell_all(Notice("for all", bad=False))
            assert await ann.hear("notice") == {"type": "notice", "text": "for all", "bad": False}
            assert (await bob.hear("notice"))["text"] == "for bob"

    with served() as console:
        run(listen(console))
    console.server.tell_all(Notice("nobody is there"))
