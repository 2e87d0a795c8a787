"""Fixtures and rules shared by all tests."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_rl.nodes.domain import reserved_domain

HAS_ROS = importlib.util.find_spec("rclpy") is not None
SHARED_MEMORY = Path("/dev/shm")
LOOPBACK = Path(__file__).resolve().parents[1] / "robot_rl" / "nodes" / "loopback.xml"

# Without ROS 2 the ROS tests are left out, but never in continuous integration, where that would go unseen.
collect_ignore_glob = [] if HAS_ROS or os.environ.get("CI") else ["ros/*"]


def pytest_report_header() -> str:
    return (
        "ROS 2: found" if HAS_ROS else "ROS 2: not found, tests/ros is left out (pip install robot-rl[ros])"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ros_tests = Path(__file__).parent / "ros"
    for item in items:
        if item.path.is_relative_to(ros_tests):
            item.add_marker(pytest.mark.ros)
        if isinstance(item, pytest.Function) and item.get_closest_marker("ros"):
            item.fixturenames.insert(0, "ros_domain")


STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process when all is reported, without unloading what the tests have loaded.

    MuJoCo's and OpenCV's graphics, the RealSense SDK, PyTorch and JAX in one process, as only the tests have
    them, can crash while the interpreter takes them down, and turn a passed run into a failed one. That each
    ends cleanly by itself is seen by the tests that start programs.
    """
    if STATUS in config.stash and not hasattr(config, "workerinput"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain that nobody else on this machine uses, in this process and in those that it starts.

    Transport is UDP over the loopback, so that even a killed process leaves no shared memory; the fixture
    checks it.
    """
    with reserved_domain(first=os.getpid()) as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(LOOPBACK))
        for name in ("ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_BUILTIN_TRANSPORTS"):
            monkeypatch.delenv(name, raising=False)
        before = _shared_memory_files()
        yield domain
        left = _shared_memory_files() - before
        left -= _mapped_by_living_processes(left)
        assert not left, f"left in {SHARED_MEMORY}: {sorted(left)}"


def _shared_memory_files() -> set[str]:
    """Names of Fast DDS's and our own files in /dev/shm."""
    pattern = re.compile(r"fastrtps|fastdds|robot_rl")
    files = SHARED_MEMORY.iterdir() if SHARED_MEMORY.is_dir() else ()
    return {file.name for file in files if pattern.search(file.name)}


def _mapped_by_living_processes(names: set[str]) -> set[str]:
    """Those of these files that somebody uses, such as a robot of another user: nobody left them behind."""
    used: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps") if names else ():
        with contextlib.suppress(OSError):  # the process has just ended, or is not ours to look into
            text = maps.read_text()
            # A file NAME_el is only the lock of NAME.
            used |= {name for name in names if f"{SHARED_MEMORY}/{name.removesuffix('_el')}" in text}
    return used
