"""Specs: what an array is before it exists.

A `Spec` names the arrays of an observation, or the action, with shape, dtype, bounds, unit and frame. The
actor, the learner, the logs and every policy bundle carry the same spec, and its `digest` is compared when
two of them meet. After dm_env's specs (Muldal et al., 2019), with the unit and the frame that robots need.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from robot_rl.core.errors import SpecError, nearest

Observation = Mapping[str, np.ndarray]
"""Named arrays that fit a `Spec`, in its order."""


@dataclass(frozen=True)
class ArraySpec:
    """Shape, dtype, bounds, unit and frame of one array."""

    shape: tuple[int, ...]
    unit: str = "1"
    """SI unit as text, "1" when there is none."""
    frame: str = ""
    """Coordinate frame that the numbers are expressed in, "" for scalars without one."""
    low: float = -math.inf
    high: float = math.inf
    scale: float = 1.0
    """Typical magnitude in `unit`: networks see value / scale."""
    dtype: str = "float32"
    names: tuple[str, ...] = ()
    """Names of the elements of a vector, for plots and messages."""
    encoder: str = ""
    """Digest of the image encoder that made these features, "" for numbers that none made. It is part of the
    spec, so that features of one encoder never meet a policy, a replay buffer or a log of another."""

    def __post_init__(self) -> None:
        if self.names and len(self.names) != math.prod(self.shape):
            raise SpecError(f"{len(self.names)} element names for shape {self.shape}")
        if not self.scale > 0:
            raise SpecError(f"scale must be positive, not {self.scale}")
        if self.low > self.high:
            raise SpecError(f"low {self.low} is above high {self.high}")

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def validate(self, name: str, value: np.ndarray) -> np.ndarray:
        """Return `value` as an array of this spec, or raise `SpecError` with the reason."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise SpecError(f"{name}: shape {array.shape}, expected {self.shape}")
        if array.dtype != self.dtype:
            raise SpecError(f"{name}: dtype {array.dtype}, expected {self.dtype}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise SpecError(f"{name}: not finite: {array.ravel()[:8]}")
        if array.size and (array.min() < self.low or array.max() > self.high):
            raise SpecError(
                f"{name}: [{array.min():g}, {array.max():g}] {self.unit} leaves its bounds "
                f"[{self.low:g}, {self.high:g}]"
            )
        return array


@dataclass(frozen=True)
class Spec:
    """A flat, ordered set of named arrays; dotted names such as `cube.position`."""

    entries: tuple[tuple[str, ArraySpec], ...]

    @classmethod
    def of(cls, arrays: Mapping[str, ArraySpec]) -> Spec:
        return cls(tuple(arrays.items()))

    @cached_property
    def arrays(self) -> dict[str, ArraySpec]:
        return dict(self.entries)

    def __getitem__(self, name: str) -> ArraySpec:
        try:
            return self.arrays[name]
        except KeyError:
            raise SpecError(f"no array named {name!r}: {nearest(name, self.arrays)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.entries)

    def validate(self, observation: Observation) -> Observation:
        """Raise `SpecError` unless the names, shapes, dtypes and bounds are as specified."""
        for name in observation:
            if name not in self.arrays:
                raise SpecError(f"unexpected array {name!r}: {nearest(name, self.arrays)}")
        for name, array in self.entries:
            if name not in observation:
                raise SpecError(f"array {name!r} is missing")
            array.validate(name, observation[name])
        return observation

    @cached_property
    def vector_names(self) -> tuple[str, ...]:
        """The float32 arrays of rank 0 or 1: those that `vector` packs, in spec order."""
        return tuple(n for n, a in self.entries if a.dtype == "float32" and len(a.shape) <= 1)

    @cached_property
    def vector_size(self) -> int:
        return sum(self.arrays[n].size for n in self.vector_names)

    @cached_property
    def vector_scale(self) -> np.ndarray:
        """(vector_size,) float32: `ArraySpec.scale` of each element of the packed vector."""
        parts = [np.full(self.arrays[n].size, self.arrays[n].scale, np.float32) for n in self.vector_names]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def vector(self, observation: Observation) -> np.ndarray:
        """Pack the float vectors of one observation, in their units, into (vector_size,) float32."""
        if not self.vector_names:
            return np.zeros(0, np.float32)
        return np.concatenate([np.ravel(observation[n]) for n in self.vector_names], dtype=np.float32)

    def unpack(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Inverse of `vector`: (..., vector_size) into named arrays, as views."""
        out, start = {}, 0
        for name in self.vector_names:
            array = self.arrays[name]
            out[name] = vector[..., start : start + array.size].reshape((*vector.shape[:-1], *array.shape))
            start += array.size
        return out

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The features of whole images, one array a camera: those of rank 1 that an encoder made."""
        return tuple(n for n, a in self.entries if a.encoder and len(a.shape) == 1)

    @cached_property
    def crop_names(self) -> tuple[str, ...]:
        """The features of randomly shifted crops, (crops, d) a camera, in the order of `feature_names`."""
        return tuple(n for n, a in self.entries if a.encoder and len(a.shape) == 2)

    @cached_property
    def feature_size(self) -> int:
        """Features of all cameras side by side."""
        return sum(self.arrays[n].size for n in self.feature_names)

    @cached_property
    def crops(self) -> int:
        """Crops of each image beside its centre view."""
        return self.arrays[self.crop_names[0]].shape[0] if self.crop_names else 0

    @cached_property
    def image_names(self) -> tuple[str, ...]:
        """The raw images, (height, width, 3) uint8: what a trainable encoder learns from."""
        return tuple(n for n, a in self.entries if a.dtype == "uint8" and len(a.shape) == 3)

    def features(self, observation: Observation) -> np.ndarray:
        """(feature_size,) float16: the centre views of all cameras side by side."""
        return np.concatenate([observation[n] for n in self.feature_names])

    def views(self, observation: Observation) -> np.ndarray:
        """(1 + crops, feature_size) float16: the centre views, then the crops, cameras side by side."""
        centre = self.features(observation)[None]
        if not self.crop_names:
            return centre
        return np.concatenate([centre, np.concatenate([observation[n] for n in self.crop_names], axis=1)])

    def zeros(self) -> dict[str, np.ndarray]:
        return {name: np.zeros(a.shape, a.dtype) for name, a in self.entries}

    def to_json(self) -> list[dict[str, object]]:
        """A JSON form, one object an array; infinite bounds are left out."""
        rows: list[dict[str, object]] = []
        for name, a in self.entries:
            row: dict[str, object] = {"name": name, "shape": list(a.shape), "dtype": a.dtype}
            row |= {"unit": a.unit, "frame": a.frame, "scale": a.scale, "names": list(a.names)}
            row |= {"encoder": a.encoder} if a.encoder else {}
            row |= {k: v for k, v in (("low", a.low), ("high", a.high)) if math.isfinite(v)}
            rows.append(row)
        return rows

    @classmethod
    def from_json(cls, rows: list[dict[str, Any]]) -> Spec:
        arrays = {}
        for row in rows:
            given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
            name = given.pop("name")
            arrays[str(name)] = ArraySpec(**given)
        return cls.of(arrays)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any part of the spec."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class EnvSpec:
    """What a learner, a policy and a log must agree on: observation, action and control rate."""

    observation: Spec
    action: ArraySpec
    """Bounds [-1, 1]; `names` say what each element commands."""
    control_rate: float
    """Actions a second [Hz]."""
    name: str = field(default="", compare=False)
    """The task's name; not part of the digest, so that a policy may serve a variant of its task."""

    @cached_property
    def digest(self) -> str:
        action = Spec.of({"action": self.action}).to_json()
        text = json.dumps([self.observation.to_json(), action, self.control_rate], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "observation": self.observation.to_json(),
            "action": Spec.of({"action": self.action}).to_json()[0],
            "control_rate": self.control_rate,
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, data: dict) -> EnvSpec:
        spec = cls(
            observation=Spec.from_json(data["observation"]),
            action=Spec.from_json([data["action"]])["action"],
            control_rate=float(data["control_rate"]),
            name=data.get("name", ""),
        )
        if data.get("digest", spec.digest) != spec.digest:
            raise SpecError(f"the spec of {spec.name!r} was altered: its digest does not match")
        return spec

    def check_same(self, other: EnvSpec, ours: str, theirs: str) -> None:
        """Raise `SpecError` naming the first difference, when `other` is not this spec."""
        if self.digest == other.digest:
            return
        if tuple(self.observation) != tuple(other.observation):
            missing = [n for n in self.observation if n not in other.observation.arrays]
            extra = [n for n in other.observation if n not in self.observation.arrays]
            detail = f"missing {missing}, unexpected {extra}" if missing or extra else "another order"
            raise SpecError(f"{theirs} does not fit {ours}: observation arrays differ ({detail})")
        for name, array in self.observation.entries:
            if array != other.observation[name]:
                detail = _difference(f"array {name!r}", array, other.observation[name])
                raise SpecError(f"{theirs} does not fit {ours}: {detail}")
        if self.action != other.action:
            detail = _difference("the action", self.action, other.action)
            raise SpecError(f"{theirs} does not fit {ours}: {detail}")
        raise SpecError(
            f"{theirs} does not fit {ours}: control rate {other.control_rate} Hz, "
            f"expected {self.control_rate} Hz"
        )


def _difference(what: str, ours: ArraySpec, theirs: ArraySpec) -> str:
    """Names the first property in which two arrays differ, of element names the first of these."""
    pairs = ((item.name, getattr(theirs, item.name), getattr(ours, item.name)) for item in fields(ArraySpec))
    name, found, expected = next(pair for pair in pairs if pair[1] != pair[2])
    if name == "names" and len(found) == len(expected):
        place = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
        return f"element {place} of {what} is {found[place]!r}, expected {expected[place]!r}"
    return f"{what} has {name} {found!r}, expected {expected!r}"
