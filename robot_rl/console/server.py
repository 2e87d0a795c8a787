"""Serves the operator's page and talks to it: aiohttp on a thread of its own, with one WebSocket a page.

What a page is sent goes through slots of which each keeps the newest only, so a slow page skips what is old
and holds up nobody else. Pictures are encoded once for all pages, and only while somebody looks.

    text     {"type": "setup" | "state" | "curves" | "notice", ...}
    binary   number of the camera (u8), JPEG
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from robot_rl.console.access import Access
from robot_rl.console.desk import Desk, Notice
from robot_rl.console.graph import Graph
from robot_rl.console.handle import Handle
from robot_rl.console.model import Model, Setup
from robot_rl.console.pictures import jpeg
from robot_rl.console.protocol import MAX_BYTES, Watch, decode
from robot_rl.console.proxy import SceneProxy
from robot_rl.core.errors import CodecError, ConfigError
from robot_rl.core.types import Pose

PAGE = Path(__file__).with_name("page")
"""Folder with the files of the page."""

STATE_RATE = 15.0
"""States, and pictures of each camera, that a page is sent a second [Hz]."""

HEARTBEAT = 20.0
"""A page that does not answer for longer is gone [s]. It loses control long before; but one that is busy with
its first picture in 3-D shall not have to begin again."""

WATCH_PERIOD = 0.02
"""Time between two looks after silent pages [s]."""

CURVES_PERIOD = 1.0
"""Curves are sent no more often than this [s]."""

CLOSE_TIMEOUT = 1.0
"""A page that is closed has this long to agree: one of a laptop that sleeps never does [s]."""

MOST_ERRORS = 20
"""A page that has said this many things that are wrong is closed."""

MOST_NOTICES = 20
"""Notices that wait for a slow page."""

EVERYWHERE = ("", "0.0.0.0", "::")
"""Addresses to serve on that mean all of this machine."""

HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'self'",
}
"""Sent with the page: it loads nothing from elsewhere, and no other site can put it into a frame."""

FORBIDDEN = """<!doctype html><meta charset="utf-8"><title>robot_rl console</title>
<style>body{font:16px system-ui;margin:15vh auto;max-width:34em;background:#12161c;color:#dde3ea}
code{background:#1d232c;padding:.1em .3em}</style>
<h1>This console wants its token</h1><p>%s</p>"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """One open page: what it is still to be sent."""

    def __init__(self, name: str, key: str, socket: web.WebSocketResponse) -> None:
        self.name = name
        self.key = key
        """Known to this page alone: by it the 3-D view says which page its handle is dragged on."""
        self.socket = socket
        self.watches = True
        """Somebody looks at it."""
        self.errors = 0
        self._slots: dict[str, str | bytes] = {}
        self._notices: deque[str] = deque(maxlen=MOST_NOTICES)
        self._news = asyncio.Event()

    def put(self, slot: str, data: str | bytes) -> None:
        """Send this next, in place of what the slot still holds."""
        self._slots[slot] = data
        self._news.set()

    def notice(self, notice: Notice) -> None:
        """Send a line for the operator."""
        self._notices.append(json.dumps({"type": "notice", **dataclasses.asdict(notice)}))
        self._news.set()

    async def write(self) -> None:
        """Send what comes, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._notices:
                await self.socket.send_str(self._notices.popleft())
            for slot in list(self._slots):
                data = self._slots.pop(slot)
                if isinstance(data, str):
                    await self.socket.send_str(data)
                else:
                    await self.socket.send_bytes(data)


class Server:
    """The console's web server.

    Args:
        graph: What pages act on.
        model: What is shown.
        setup: What a page is told first.
        access: Who may open it.
        host: Address to serve on.
        port: 0 for any that is free.
        log: Told what the operator of the machine shall know, by any thread.
        scene_port: Where the 3-D view is served on this machine, None without one.
        handle: Of the 3-D view.
    """

    def __init__(
        self,
        graph: Graph,
        model: Model,
        setup: Setup,
        access: Access,
        host: str,
        port: int,
        log: Callable[[str], object],
        scene_port: int | None = None,
        handle: Handle | None = None,
    ) -> None:
        self.desk = Desk(graph, setup, self.tell, handle)
        """Belongs to the server's thread while that runs."""
        self.model = model
        self.setup = setup
        self.access = access
        self.host = host
        self.port = port
        self._log = log
        self._scene = SceneProxy(scene_port, self._drag) if scene_port is not None else None
        self._pages: dict[str, Page] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._problem: OSError | None = None
        self._failure: BaseException | None = None
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="jpeg")
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> None:
        """Serve from now on. `ConfigError` when the address cannot be had."""
        self._thread.start()
        self._ready.wait()
        self.check()
        if self._problem is not None:
            self._thread.join()
            raise ConfigError(
                f"the console cannot be served on {self.host}:{self.port} ({self._problem.strerror}): choose "
                "another port, 0 for any that is free"
            )

    def close(self) -> None:
        """End, and close all pages."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def check(self) -> None:
        """Raise what has ended the server, if something has."""
        if self._failure is not None:
            raise self._failure

    @property
    def url(self) -> str:
        """Where to find the page; with the token, where one is asked for."""
        # What listens on all addresses has none of its own to name.
        host = socket.gethostname() if self.host in EVERYWHERE else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={self.access.token}" if self.access.token else "")

    def tell(self, who: str, notice: Notice) -> None:
        """Show a notice on the page called `who`; for any thread."""
        self._post(lambda page: page.name == who, notice)

    def tell_all(self, notice: Notice) -> None:
        """Show a notice on all pages; for any thread."""
        self._post(lambda page: True, notice)

    def _post(self, meant: Callable[[Page], bool], notice: Notice) -> None:
        def put() -> None:
            for page in filter(meant, self._pages.values()):
                page.notice(notice)

        with contextlib.suppress(RuntimeError):  # the server has ended, and there are no pages
            self._loop.call_soon_threadsafe(put)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        work = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(asyncio.wait([work]))
            self._failure = work.exception()
        finally:
            self._encoder.shutdown()
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/page/{name}", self._file)
        if self._scene is not None:
            self._scene.mount(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            try:
                await site.start()
            except OSError as error:
                self._problem = error
                return
            self.port = runner.addresses[0][1]
            self._ready.set()
            workers: list[asyncio.Task[Any]] = [
                asyncio.create_task(work()) for work in (self._watch, self._show)
            ]
            workers.append(asyncio.create_task(self._stop.wait()))
            try:
                done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
                for worker in done:
                    await worker  # raises what has ended it
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                for page in list(self._pages.values()):
                    await page.socket.close(code=1001, message=b"the console ends")
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in only who may: see `robot_rl.console.access`."""
        host = request.headers.get("Host", "")
        if not self.access.is_own_host(host):
            return _forbidden("Open it by this machine's own name: http://localhost or http://127.0.0.1.")
        if not self.access.is_own_origin(request.headers.get("Origin", ""), host):
            return _forbidden("The request came from a page of another site.")
        cookie = f"robot_rl_{self.port}"
        given = request.query.get("token", "")
        if given and self.access.token and self.access.knows_token(given):
            # The address in the browser's line, and in its history, shall not hold the token.
            answer = web.HTTPFound(request.path)
            answer.set_cookie(cookie, given, httponly=True, samesite="Strict", max_age=30 * 24 * 3600)
            raise answer
        if not self.access.knows_token(request.cookies.get(cookie, "")):
            wrong = "The token in this address is not the right one. " if given else ""
            return _forbidden(
                f"{wrong}Open the address that the console has printed, which ends in <code>?token=…</code>. "
                "It is also in the file <code>console.token</code> of the run directory."
            )
        return await handler(request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html", headers=HEADERS)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = PAGE / request.match_info["name"]
        if path.parent != PAGE or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers=HEADERS)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """One page, from its coming to its going."""
        browser = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT, heartbeat=HEARTBEAT, compress=False, max_msg_size=8 * MAX_BYTES
        )
        await browser.prepare(request)
        page = Page(self.desk.join(), self._key(request.query.get("key", "")), browser)
        scene = f"/scene/{page.key}/" if self._scene is not None else ""
        hello = {"type": "setup", "you": page.name, "scene": scene, **dataclasses.asdict(self.setup)}
        page.put("setup", json.dumps(hello))
        self._pages[page.name] = page
        self._count_watchers()
        self._send_curves(page)
        writer = asyncio.create_task(page.write())
        try:
            async for message in browser:
                if message.type is WSMsgType.TEXT:
                    self._hear(page, message.data)
                elif message.type is WSMsgType.BINARY:
                    self._refuse(page, CodecError("the page sent bytes, expected text"))
                if page.errors >= MOST_ERRORS:
                    await browser.close(code=1008, message=b"too many messages that are wrong")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            del self._pages[page.name]
            self._count_watchers()
            self.desk.leave(page.name, time.monotonic())
        return browser

    def _key(self, given: str) -> str:
        """The key that a page has chosen, or a new one where that will not do."""
        taken = {page.key for page in self._pages.values()}
        return given if re.fullmatch("[0-9a-f]{32}", given) and given not in taken else secrets.token_hex(16)

    def _hear(self, page: Page, text: str) -> None:
        try:
            message = decode(text, self.setup.commands)
        except CodecError as error:
            self._refuse(page, error)
            return
        if isinstance(message, Watch):
            page.watches = message.cameras
            self._count_watchers()
        else:
            self.desk.hear(page.name, message, time.monotonic())

    def _drag(self, key: str, wanted: Pose | None) -> bool:
        """The handle of the 3-D view on the page with this key."""
        who = next((page.name for page in self._pages.values() if page.key == key), "")
        return self.desk.drag(who, wanted, time.monotonic())

    def _refuse(self, page: Page, error: CodecError) -> None:
        page.errors += 1
        page.notice(Notice(str(error)))
        self._log(f"{page.name}: {error}")

    def _count_watchers(self) -> None:
        self.model.watched = any(page.watches for page in self._pages.values())

    async def _watch(self) -> None:
        """Look after pages that fall silent, for ever."""
        while True:
            await asyncio.sleep(WATCH_PERIOD)
            self.desk.look_after(time.monotonic())

    async def _show(self) -> None:
        """Send all pages what is new, for ever."""
        sent: dict[str, int] = {}
        curves, curves_at = 0, 0.0
        while True:
            await asyncio.sleep(1.0 / STATE_RATE)
            if not self._pages:
                continue
            self._send_state()
            if self.model.curves()[0] != curves and time.monotonic() > curves_at:
                curves, curves_at = self.model.curves()[0], time.monotonic() + CURVES_PERIOD
                for page in self._pages.values():
                    self._send_curves(page)
            for number, camera in enumerate(self.setup.cameras):
                picture = self.model.picture(camera) if self.model.watched else None
                if picture is not None and picture[0] != sent.get(camera):
                    sent[camera] = picture[0]
                    encode = partial(jpeg, picture[1].image)
                    data = bytes([number]) + await self._loop.run_in_executor(self._encoder, encode)
                    for page in self._pages.values():
                        if page.watches:
                            page.put(camera, data)

    def _send_state(self) -> None:
        state = {"type": "state", **self.model.snapshot(), "holder": self.desk.lease.holder}
        state["pages"] = len(self._pages)
        text = json.dumps(state)
        for page in self._pages.values():
            page.put("state", text)

    def _send_curves(self, page: Page) -> None:
        curves = self.model.curves()[1]
        if curves is not None:
            page.put("curves", json.dumps({"type": "curves", "curves": curves}))


def _forbidden(text: str) -> web.Response:
    return web.Response(status=403, text=FORBIDDEN % text, content_type="text/html")
