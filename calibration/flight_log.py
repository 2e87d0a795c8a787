"""Logs of flights from which a quadrotor is identified, as CSV files that any program can write.

Columns, in any order: `time` [s]; `m1` to `m4`, the motors' commands as parts of the highest [0, 1]; `lift`,
what the accelerometer feels along z of the body [m/s^2]; `rate_x`, `rate_y`, `rate_z`, the gyro [rad/s]; if
the motors run from a battery, `voltage`, under load [V]; and, if the vehicle carries something of known mass
in its middle, `payload` [kg]. Lines that begin with # are comments. What follows the last end of a line is no
sample: whoever wrote it was interrupted.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.core.errors import LogError, nearest

COLUMNS = ("time", "m1", "m2", "m3", "m4", "lift", "rate_x", "rate_y", "rate_z")
"""Those that a log must have."""
VOLTAGE, PAYLOAD = "voltage", "payload"
"""Those that it may have."""
LEAST_SAMPLES = 100
"""A shorter log says nothing."""


@dataclass(frozen=True)
class FlightLog:
    """One flight, or several one after another with the same payload."""

    time: np.ndarray
    """(n,) ascending [s]."""
    motors: np.ndarray
    """(n, 4) commands in [0, 1], each in force until the next sample."""
    lift: np.ndarray
    """(n,) specific force along z of the body [m/s^2]."""
    rates: np.ndarray
    """(n, 3) in the body [rad/s]."""
    voltage: np.ndarray | None = None
    """(n,) of the battery under load [V]; None where it was not logged."""
    payload: float = 0.0
    """Mass that the vehicle carries in its middle [kg]."""

    def __post_init__(self) -> None:
        count = len(self.time)
        shapes = {"motors": (count, 4), "lift": (count,), "rates": (count, 3)}
        if self.voltage is not None:
            shapes["voltage"] = (count,)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise LogError(f"{name} must have the shape {shape}, not {getattr(self, name).shape}")
        for name in ("time", *shapes):
            if not np.isfinite(getattr(self, name)).all():
                row = int(np.argmin(np.isfinite(getattr(self, name)).reshape(count, -1).all(1)))
                raise LogError(f"{name} is not finite in sample {row}")
        if count < LEAST_SAMPLES:
            raise LogError(f"a flight of {count} samples says nothing; it takes at least {LEAST_SAMPLES}")
        if not (np.diff(self.time) > 0.0).all():
            raise LogError(f"time goes back after sample {int(np.argmin(np.diff(self.time)))}")
        if self.motors.min() < 0.0 or self.motors.max() > 1.0:
            raise LogError("motors must be parts of the highest command, [0, 1]: divide 16-bit ones by 65535")
        if self.voltage is not None and not self.voltage.min() > 0.0:
            raise LogError("voltage must be more than 0 V; leave the column out where it was not measured")
        if not self.payload >= 0.0:
            raise LogError(f"payload must not be negative, not {self.payload}")


def read_flight_log(path: Path) -> FlightLog:
    """Read a log.

    Raises:
        LogError: It cannot be read, lacks a column, or holds what no flight is.
    """
    data = _columns(path)
    payload = data.get(PAYLOAD, np.zeros(1))
    if len(payload) and np.ptp(payload) > 0.0:
        raise LogError(f"{path}: the payload changes; write a file for each")
    try:
        return FlightLog(
            time=data["time"],
            motors=np.column_stack([data[f"m{i}"] for i in range(1, 5)]),
            lift=data["lift"],
            rates=np.column_stack([data[f"rate_{axis}"] for axis in "xyz"]),
            voltage=data.get(VOLTAGE),
            payload=float(payload[0]) if len(payload) else 0.0,
        )
    except LogError as error:
        raise LogError(f"{path}: {error}") from None


def _columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a CSV file by name, those of a log among them."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LogError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LogError(f"{path} is no CSV file: it is no text in UTF-8") from None
    whole = text[: text.rfind("\n") + 1]
    numbered = enumerate(whole.splitlines(), 1)
    lines = [(i, line) for i, line in numbered if line.strip() and not line.startswith("#")]
    if not lines:
        raise LogError(f"{path} is empty; its first line must name the columns {', '.join(COLUMNS)}")
    head, *rows = csv.reader(line for _, line in lines)
    names = [name.strip() for name in head]
    for column in COLUMNS:
        if names.count(column) != 1:
            found = f"has {names.count(column)} columns" if column in names else "has no column"
            raise LogError(f"{path} {found} {column!r}: {nearest(column, names)}")
    table = np.empty((len(rows), len(names)))
    for values, row, (number, _) in zip(table, rows, lines[1:], strict=True):
        if len(row) != len(names):
            raise LogError(f"{path}, line {number}: {len(names)} columns have a name, not {len(row)}")
        try:
            values[:] = [float(cell) for cell in row]
        except ValueError:
            raise LogError(f"{path}, line {number}: all must be numbers, not {','.join(row)!r}") from None
    return dict(zip(names, table.T, strict=True))


def write_flight_log(log: FlightLog, path: Path) -> None:
    """Write a log that `read_flight_log` reads back to six digits after the point and better."""
    names, columns = [*COLUMNS], [log.time, log.motors, log.lift, log.rates]
    if log.voltage is not None:
        names.append(VOLTAGE)
        columns.append(log.voltage)
    columns.append(np.full(len(log.time), log.payload))
    path.write_text(_line([*names, PAYLOAD]) + "".join(map(_numbers, np.column_stack(columns).tolist())))


def _line(words: Sequence[str]) -> str:
    return ",".join(words) + "\n"


def _numbers(values: Sequence[float]) -> str:
    return _line([f"{value:.9g}" for value in values])


class FlightLogWriter:
    """Writes a log while it is flown: what was added is in the file, however the process ends.

    Samples that do not follow in time, or are not finite, are left out.

    Args:
        path: A new file.

    Raises:
        LogError: There is such a file already, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest = -np.inf
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("x")
        except FileExistsError:
            raise LogError(f"{path} holds a flight already: name another file") from None
        except OSError as error:
            raise LogError(f"cannot write {path}: {error.strerror}") from None
        self._write(_line([*COLUMNS, VOLTAGE]))

    def add(self, samples: Sequence[tuple[float, ...]]) -> None:
        """Add samples, each the numbers of `COLUMNS` and the voltage; raises `LogError` for a full disk."""
        lines = []
        for sample in samples:
            if sample[0] > self._newest and np.isfinite(sample).all():
                self._newest = sample[0]
                lines.append(_numbers(sample))
        if lines:
            self._write("".join(lines))

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise LogError(f"cannot write {self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def flight_log(
    time: Sequence[float],
    motors: Sequence[np.ndarray],
    lift: Sequence[float],
    rates: Sequence[np.ndarray],
    voltage: Sequence[float] | None = None,
    payload: float = 0.0,
) -> FlightLog:
    """A log of samples that were collected one by one; those that do not follow in time are left out."""
    newest, kept = -np.inf, []
    for i, stamp in enumerate(time):
        if stamp > newest:
            newest = stamp
            kept.append(i)
    return FlightLog(
        np.array(time, dtype=float)[kept],
        np.array(motors, dtype=float).reshape(-1, 4)[kept],
        np.array(lift, dtype=float)[kept],
        np.array(rates, dtype=float).reshape(-1, 3)[kept],
        None if voltage is None else np.array(voltage, dtype=float)[kept],
        payload,
    )
