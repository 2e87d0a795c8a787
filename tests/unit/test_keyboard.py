"""Keys of a terminal: what they mean, how long they last, and that the terminal is left as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.teleop.keyboard import ESCAPE_WAIT, ONCE, PULSE, Keyboard, KeyTimes
from robot_rl.core.errors import DeviceError
from robot_rl.core.types import BUTTONS
from tests.conformance.device_sources import Typist

NOW = 10**12


def after(*typed: bytes, apart: int = 0) -> KeyTimes:
    keys = KeyTimes()
    for number, part in enumerate(typed):
        keys.feed(part, NOW + number * apart)
    return keys


@pytest.mark.parametrize(
    ("typed", "axes"),
    [
        (b"w", [1, 0, 0, 0, 0, 0]),
        (b"W", [1, 0, 0, 0, 0, 0]),
        (b"\x1b[A", [1, 0, 0, 0, 0, 0]),
        (b"\x1bOA", [1, 0, 0, 0, 0, 0]),
        (b"\x1b[D", [0, 1, 0, 0, 0, 0]),
        (b"\x1b[5~", [0, 0, 1, 0, 0, 0]),
        (b"\x1b[6~", [0, 0, -1, 0, 0, 0]),
        (b"adwq", [1, 0, 0, 0, 0, 1]),
        (b"\x1b[1;5A", [0, 0, 0, 0, 0, 0]),
    ],
)
def test_keys_and_their_motions(typed: bytes, axes: list[float]) -> None:
    keys = after(typed)
    np.testing.assert_array_equal(keys.axes(NOW), axes)
    assert keys.words(NOW) == frozenset()


def test_code_of_a_key_may_come_in_pieces() -> None:
    keys = after(b"\x1b", b"[", b"A", apart=ESCAPE_WAIT // 3)
    assert keys.axes(NOW + ESCAPE_WAIT)[0] == 1.0
    assert keys.words(NOW + ESCAPE_WAIT) == frozenset()


def test_escape_alone_is_the_emergency_stop() -> None:
    keys = after(b"\x1b")
    assert keys.words(NOW) == frozenset()
    keys.feed(b"", NOW + ESCAPE_WAIT)
    assert keys.words(NOW + ESCAPE_WAIT) == {"e_stop"}
    assert after(b"\x1b\x1b").words(NOW) == {"e_stop"}
    assert after(b"\x1bw").words(NOW) == {"e_stop"}


def test_a_press_moves_for_a_moment_and_repetition_prolongs_it() -> None:
    keys = after(b"w")
    assert keys.axes(NOW + PULSE - 1)[0] == 1.0
    keys.feed(b"w", NOW + PULSE - 1)
    assert keys.axes(NOW + PULSE)[0] == 1.0
    assert keys.axes(NOW + 2 * PULSE)[0] == 0.0


def test_a_deed_is_done_once_though_the_key_repeats() -> None:
    keys = KeyTimes()
    presses, last = 0, frozenset()
    for millisecond in range(0, 3000, 10):
        now = NOW + millisecond * 1_000_000
        repeats = millisecond == 0 or (500 <= millisecond < 2000 and millisecond % 30 == 0)
        keys.feed(b" " if repeats else b"", now)
        presses += "toggle" in keys.words(now) and "toggle" not in last
        last = keys.words(now)
    assert presses == 1
    assert last == frozenset()


def test_a_label_ends_with_the_key() -> None:
    keys = after(b"1y")
    assert keys.words(NOW) == {"label", "success"}
    assert keys.words(NOW + PULSE) == {"success"}
    assert keys.words(NOW + ONCE) == frozenset()


@given(st.lists(st.binary(max_size=20)))
def test_no_bytes_do_harm(typed: list[bytes]) -> None:
    keys = KeyTimes()
    for number, part in enumerate(typed):
        now = NOW + number * ESCAPE_WAIT
        keys.feed(part, now)
        assert (np.abs(keys.axes(now)) <= 1.0).all()
        assert keys.words(now) <= set(BUTTONS)


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    typist = Typist(tmp_path / "tty")
    yield typist
    typist.hang_up()


def mode(typist: Typist) -> list:
    return termios.tcgetattr(typist.screen)


def test_the_terminal_is_left_as_it_was(typist: Typist) -> None:
    before = mode(typist)
    device = Keyboard(str(typist.path))
    device.read()
    assert mode(typist) != before
    device.close()
    assert mode(typist) == before


def test_it_is_left_as_it_was_by_a_program_that_fails(typist: Typist) -> None:
    before = mode(typist)
    code = (
        "import sys; from drivers.teleop.keyboard import Keyboard\n"
        "Keyboard(sys.argv[1]).read()\n"
        "raise RuntimeError('defect')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(typist.path)], capture_output=True, text=True, check=False
    )
    assert "RuntimeError: defect" in result.stderr
    assert mode(typist) == before


IN_A_TERMINAL = """
import os, sys, time
from drivers.teleop.keyboard import Keyboard
from robot_rl.core.errors import DeviceError
keyboard = Keyboard()
keyboard.read()
print("ready", flush=True)
{body}
"""


def start_in(typist: Typist, body: str) -> subprocess.Popen[str]:
    """A program whose controlling terminal this is, as one that was started from a shell."""
    leader = (
        "import fcntl, os, signal, sys, termios\n"
        # What runs in a shell's background ignores it, and so would we.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.setsid()\n"
        "fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), termios.TIOCSCTTY, 0)\n"
        f"exec({IN_A_TERMINAL.format(body=body)!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", leader, str(typist.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def test_ctrl_c_still_works(typist: Typist) -> None:
    with start_in(typist, "time.sleep(60)") as process:
        typist.type("\x03")
        assert process.wait(20.0) == -signal.SIGINT
        assert "KeyboardInterrupt" in process.stderr.read()


def test_a_job_in_the_background_is_told_and_not_stopped(typist: Typist) -> None:
    body = """
if os.fork() == 0:
    os.setpgid(0, 0)
    keyboard = Keyboard()
    try:
        keyboard.read()
    except DeviceError as error:
        print(error, flush=True)
    os._exit(0)
status = os.waitstatus_to_exitcode(os.wait()[1])
print("ended", status, flush=True)
"""
    with start_in(typist, body) as process:
        assert "bring this one to the foreground" in process.stdout.readline()
        assert process.stdout.readline() == "ended 0\n"
        assert process.wait(20.0) == 0


def test_what_is_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none", Path(os.devnull)):
        with pytest.raises(DeviceError, match="no terminal to read keys from"):
            Keyboard(str(path)).read()
