"""The 3-D scene on the console's own address: viser's page and WebSocket, under `/scene/KEY/`.

viser serves everybody who reaches its port and takes orders from all of them, so it listens on this machine
alone, and a browser only meets it through here, after the console has let it in. Nothing that a browser sends
goes further but where its camera is, and the pose of the handle while its operator may move the robot. That
pose is read here and not from viser, since whoever reaches viser's port past the console could send one, too.

The key in the path says which page it is: viser's own page drops everything else from the address before it
opens its WebSocket. The page gets its key where it has shown who it is, on the console's WebSocket.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, ETag, WSCloseCode, WSMsgType, web

from robot_rl.core.errors import CodecError
from robot_rl.core.frames import normalise, xyzw_from_wxyz
from robot_rl.core.types import Pose

MAX_BYTES = 1 << 14
"""Longest message of a browser; one about its camera has some 300 [bytes]."""
_HEARTBEAT = 10.0
_STYLE = """<style>
html, body { background: #0f141b !important; }
[data-floating-window], [data-dock-leaf], [style*="position: fixed"][style*="min-height: 3.5em"],
.mantine-Notifications-root { display: none !important; }
div[style*="background-color: rgb(20, 20, 20)"] { background: none !important; }
</style>"""
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src 'self' data: blob:; font-src data:; connect-src 'self' data: blob:; "
    "frame-ancestors 'self'"
)
_CAMERA = "ViewerCameraMessage"
_GRABBED = "TransformControlsDragStartMessage"
_DRAGGED = "TransformControlsUpdateMessage"
_LET_GO = "TransformControlsDragEndMessage"

_log = logging.getLogger(__name__)


OnDrag = Callable[[str, Pose | None], bool]
"""Told of the wanted pose of the handle, base frame, and of None when it is let go, by the page with a key.
Answers whether that page may move the handle."""


class SceneProxy:
    """Serves one viser to the pages of the console. Ending viser ends all connections.

    Args:
        port: Where viser listens on this machine.
        on_drag: What becomes of the handle; called by the server's thread.
    """

    def __init__(self, port: int, on_drag: OnDrag) -> None:
        self._address = f"127.0.0.1:{port}"
        self._on_drag = on_drag
        self._page: tuple[bytes, str] | None = None
        self._open: set[web.WebSocketResponse] = set()

    def mount(self, app: web.Application) -> None:
        """Add the routes to a server, and end with it."""
        app.add_routes([web.get("/scene/{key}/", self._serve_page), web.get("/scene/{key}", self._connect)])
        app.on_shutdown.append(self._close)

    async def _close(self, _: web.Application) -> None:
        for browser in set(self._open):
            await browser.close(code=WSCloseCode.GOING_AWAY, message=b"the console ends")

    async def _serve_page(self, request: web.Request) -> web.Response:
        """The page of viser, which is one file, without its panel."""
        if self._page is None:
            try:
                async with ClientSession() as session, session.get(f"http://{self._address}/") as answer:
                    answer.raise_for_status()
                    page = await answer.text()
            except ClientError as error:
                raise _ended(error) from error
            html = page.replace("</head>", _STYLE + "</head>", 1).encode()
            self._page = html, hashlib.sha256(html).hexdigest()
        html, digest = self._page
        known = request.if_none_match or ()
        if any(tag.value == digest for tag in known):
            response = web.Response(status=304)
        else:
            response = web.Response(body=html, content_type="text/html", charset="utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "private, no-cache"
        response.etag = ETag(digest)
        return response

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPMovedPermanently(f"{request.path}/")
        # viser's version is its subprotocol. It refuses others with a reason that its page shows.
        wanted = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        protocols = [name.strip() for name in wanted if name.strip().startswith("viser-v")]
        browser = web.WebSocketResponse(
            protocols=protocols, heartbeat=_HEARTBEAT, compress=False, max_msg_size=MAX_BYTES
        )
        key = request.match_info["key"]
        # A connection for each browser, so that viser sends a slow one what it can take.
        async with ClientSession() as session:
            try:
                viser = await session.ws_connect(
                    f"ws://{self._address}/", protocols=protocols, max_msg_size=0, compress=0
                )
            except ClientError as error:
                raise _ended(error) from error
            await browser.prepare(request)
            self._open.add(browser)
            try:
                await self._relay(key, browser, viser)
            finally:
                self._open.discard(browser)
                # Whatever ended the connection, its handle is free.
                self._on_drag(key, None)
        return browser

    async def _relay(self, key: str, browser: web.WebSocketResponse, viser: ClientWebSocketResponse) -> None:
        """Pass messages both ways until either side ends, and end the other."""
        ways = (
            asyncio.create_task(_down(viser, browser)),
            asyncio.create_task(self._up(key, browser, viser)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            # A browser may vanish in the middle of a frame: that is an end like any other.
            for outcome in await asyncio.gather(*ways, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                    _log.error("the scene's connection to a page failed: %r", outcome)
        await viser.close()
        code = viser.close_code if viser.close_code in _TELLING else WSCloseCode.GOING_AWAY
        await browser.close(code=code or WSCloseCode.GOING_AWAY)

    async def _up(self, key: str, browser: web.WebSocketResponse, viser: ClientWebSocketResponse) -> None:
        """From the browser to viser: what `admit` lets through."""
        async for message in browser:
            if message.type is not WSMsgType.BINARY:
                await browser.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"only binary messages")
                return
            try:
                passes = admit(message.data, lambda pose: self._on_drag(key, pose))
            except CodecError as error:
                _log.warning("a page's scene was closed: %s", error)
                await browser.close(code=WSCloseCode.POLICY_VIOLATION, message=str(error).encode()[:120])
                return
            if passes:
                await viser.send_bytes(message.data)


_TELLING = frozenset({WSCloseCode.PROTOCOL_ERROR})
"""Ends that viser means for its page: it was made for another version."""


def _ended(error: ClientError) -> web.HTTPBadGateway:
    return web.HTTPBadGateway(text=f"The 3-D view has ended: start the console again. ({error})")


async def _down(viser: ClientWebSocketResponse, browser: web.WebSocketResponse) -> None:
    """From viser to the browser. Sending waits for a slow one, and so viser sends it less."""
    async for message in viser:
        if message.type is WSMsgType.BINARY:
            await browser.send_bytes(message.data)


def admit(data: bytes, on_drag: Callable[[Pose | None], bool]) -> bool:
    """Whether a browser's message goes on to viser.

    Args:
        data: The message, MessagePack as viser's page sends it.
        on_drag: Told of the handle's pose, base frame, and of None when it is let go; answers whether this
            browser may move it.

    Raises:
        CodecError: It is no message of viser's page, or one with numbers that are not finite.
    """
    try:
        message: Any = msgspec.msgpack.decode(data)
    except msgspec.DecodeError as error:
        raise CodecError(f"the scene's page sent what is not MessagePack: {error}") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == _CAMERA:
        return True
    if kind == _LET_GO:
        return on_drag(None)
    if kind == _DRAGGED:
        return on_drag(_pose(message))
    # Grabbing alone moves nothing, and the rest is for viser's own panel, which is not shown: it could open a
    # tunnel to a server of viser's makers, or upload files.
    return False


def _pose(message: dict[str, Any]) -> Pose:
    position = _numbers(message.get("position"), 3)
    try:
        return Pose(position, normalise(xyzw_from_wxyz(_numbers(message.get("wxyz"), 4))))
    except ValueError as error:
        raise CodecError(f"the scene's handle: {error}") from None


def _numbers(value: Any, count: int) -> np.ndarray:
    fits = isinstance(value, list | tuple) and len(value) == count
    if not fits or not all(type(x) in (int, float) and math.isfinite(x) for x in value):
        raise CodecError(f"the scene's handle: expected {count} finite numbers, got {value!r}"[:200])
    return np.array(value, dtype=float)
