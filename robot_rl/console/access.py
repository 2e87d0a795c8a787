"""Who may open the console's pages.

On this machine's own address everybody who can reach it may. On any other a random token is asked for, once
in the address that is printed, then in a cookie. Whatever the address: a page of another site must not be
able to open our WebSocket in the operator's browser, neither directly (the Origin header names its site) nor
by giving its own name our address ("DNS rebinding": the Host header names its site then).
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

TOKEN_BYTES = 24
"""Randomness of a token [bytes]."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def stored_token(path: Path) -> str:
    """The token in a file that only its owner can read, made at the first call.

    It stays the same when the console is started again, so open pages find back to it.
    """
    if path.exists() and (token := path.read_text().strip()):
        return token
    token = new_token()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    return token


class Access:
    """Decides about each request by its headers.

    Args:
        token: What a page has to know, "" for an address of this machine alone.
    """

    def __init__(self, token: str) -> None:
        self.token = token

    def knows_token(self, given: str) -> bool:
        """Whether the token is right, compared in constant time; always when none is asked for."""
        return not self.token or hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def is_own_host(self, host_header: str) -> bool:
        """Whether a request was meant for us: without a token it must name this machine itself."""
        return bool(self.token) or is_loopback(_split(f"//{host_header}").hostname or "")

    def is_own_origin(self, origin: str, host_header: str) -> bool:
        """Whether a WebSocket is opened by a page of ours; one without an origin is no browser's."""
        return not origin or _split(origin).netloc.lower() == host_header.lower()


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
