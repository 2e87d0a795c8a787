"""A ROS domain of one's own: two graphs on one machine must not hear each other. Imports nothing of ROS."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

from robot_rl.core.errors import RobotRlError

DOMAINS = 102
"""Domains 0 to 101 are safe: higher ones put DDS on ports of the ephemeral range, where others may be."""


@contextlib.contextmanager
def reserved_domain(first: int = 0) -> Iterator[int]:
    """Hold the first domain from `first` on that no other process of this machine holds.

    It is held by an abstract socket, which the kernel frees however the process ends. Where there are none,
    the domain is `first`.
    """
    if not sys.platform.startswith("linux"):
        yield first % DOMAINS
        return
    for offset in range(DOMAINS):
        domain = (first + offset) % DOMAINS
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
            try:
                holder.bind(f"\0robot_rl.ros_domain.{domain}")
            except OSError:
                continue
            yield domain
            return
    raise RobotRlError(f"all ROS domains 0-{DOMAINS - 1} are taken on this machine: end some graphs")
