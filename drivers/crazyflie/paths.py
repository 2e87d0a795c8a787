# pyright: reportMissingImports=false
"""Paths that a Crazyflie flies by itself, uploaded into its memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.crazyflie.limits import checked
from drivers.crazyflie.settings import CrazyflieConfig
from robot_rl.core.errors import InvalidActionError, VehicleError

MOST_PIECES = 31
"""What fits into the vehicle's memory, 4096 bytes."""
TRAJECTORY_MEMORY = 0x12
"""Kind of the memory that holds paths."""
UPLOAD_TIMEOUT = 60.0
"""Longest time until a path is in the memory [s]: some hundred packets, of which each may be lost."""
POLL = 0.05
"""Between two looks whether the upload shall go on [s]."""


@dataclass(frozen=True)
class PathPiece:
    """Polynomials of degree 7 over a stretch of time."""

    duration: float
    """[s]."""
    coefficients: np.ndarray
    """(4, 8) of x, y, z [m] and yaw [rad] in the time since its start [s], the constant first."""


def check_path(config: CrazyflieConfig, pieces: list[PathPiece]) -> None:
    """Raise `InvalidActionError` for a path that leaves the box, is too fast, or is none."""
    if not 1 <= len(pieces) <= MOST_PIECES:
        raise InvalidActionError(f"a path has 1 to {MOST_PIECES} pieces, not {len(pieces)}")
    for i, piece in enumerate(pieces):
        if np.shape(piece.coefficients) != (4, 8):
            raise InvalidActionError(
                f"piece {i}: coefficients are (4, 8), not {np.shape(piece.coefficients)}"
            )
        checked(f"piece {i}", piece.coefficients, piece.duration)
        if piece.duration <= 0.0:
            raise InvalidActionError(f"piece {i}: its duration must be more than 0 s, not {piece.duration}")
        times = np.linspace(0.0, piece.duration, 50)
        place = _values(piece.coefficients[:3], times)
        low, high = np.array(config.lowest)[:, None], np.array(config.highest)[:, None]
        if (place < low - 1e-6).any() or (place > high + 1e-6).any():
            raise InvalidActionError(
                f"piece {i} leaves the box from {config.lowest} to {config.highest} m: it goes from "
                f"{place.min(1).round(2).tolist()} to {place.max(1).round(2).tolist()}"
            )
        slopes = piece.coefficients[:3, 1:] * np.arange(1.0, 8.0)
        speed = float(np.linalg.norm(_values(slopes, times), axis=0).max())
        if speed > config.max_speed + 1e-6:
            raise InvalidActionError(f"piece {i} is flown at {speed:.2f} m/s, above {config.max_speed:g} m/s")


def uploaded(client: Any, pieces: list[PathPiece], check: Callable[[], None]) -> None:
    """Write a path to the start of the vehicle's memory, and wait until it is there.

    Args:
        client: cflib's Crazyflie.
        pieces: The path.
        check: Called now and then; what it raises ends the upload.

    Raises:
        VehicleError: It has no such memory, or the path does not get there.
    """
    from cflib.crazyflie.mem import Poly4D

    memories = client.mem.get_mems(TRAJECTORY_MEMORY)
    if not memories:
        raise VehicleError("this Crazyflie has no memory for paths")
    memory = memories[0]
    memory.trajectory = [
        Poly4D(piece.duration, *(Poly4D.Poly(row) for row in piece.coefficients.tolist())) for piece in pieces
    ]
    # cflib's own way to wait does not end when the link does.
    ended, refused = threading.Event(), threading.Event()

    def on_failure(*_: Any) -> None:
        refused.set()
        ended.set()

    memory.write_data(lambda *_: ended.set(), write_failed_cb=on_failure)
    deadline = time.monotonic() + UPLOAD_TIMEOUT
    while not ended.wait(POLL):
        check()
        if time.monotonic() > deadline:
            raise VehicleError(f"the path was not written to the Crazyflie's memory in {UPLOAD_TIMEOUT:g} s")
    if refused.is_set():
        raise VehicleError("the path could not be written to the Crazyflie's memory")


def _values(coefficients: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n, t) values of n polynomials, the constant first, at t times."""
    return coefficients @ times ** np.arange(coefficients.shape[1])[:, None]
