"""The byte codec of bulk messages: transitions, policy weights, acknowledgements and image features.

ROS 2 has no standard message for them, so they travel as bytes in `std_msgs/UInt8MultiArray`, and the same
bytes are kept in the journal and in the episode log. All numbers are little-endian:

    "RRLM" | version u8 | kind u8 | 0 u16 | spec digest 8 bytes | payload length u32 | crc32 u32 | payload

The checksum covers the header before it and the payload. A transition has a fixed size for a given spec: a
head of scalars, then the arrays of the observation and the next observation in spec order, then action and
proposal. No names are sent: the spec digest says what the arrays are. Features have the digest of their
encoder in its place. Nothing is ever unpickled.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

import numpy as np

from robot_rl.core.errors import CodecError, SpecError, nearest
from robot_rl.core.spec import EnvSpec, Observation, Spec
from robot_rl.core.types import CameraFeatures, Key, Source, Transition

VERSION = 1
"""Version of the byte layout. It changes whenever an older reader would misread a message."""

MAX_BYTES = 64 * 2**20
"""Largest payload [bytes]; longer ones are refused on both sides before any memory is set aside."""

MAX_ACTOR_BYTES = 32
"""Longest actor name, in UTF-8 [bytes]."""

Bytes = bytes | bytearray | memoryview | np.ndarray | array
"""What a message may arrive in; `array` is how rclpy holds a `uint8[]` field."""

_MAGIC = b"RRLM"
_HEADER = struct.Struct("<4sBBH8sI")
_CHECKSUM = struct.Struct("<I")
_START = _HEADER.size + _CHECKSUM.size
# Actor, run, sequence, episode, step, policy version, stamp, reward, penalty, source, flags; padded so that
# the arrays that follow are aligned to 8 bytes.
_SCALARS = struct.Struct("<32s6q2dBB6x")
_TERMINATED, _TRUNCATED = 1, 2
_SOURCES = {int(source): source for source in Source}


class Kind(IntEnum):
    """What a message holds."""

    TRANSITIONS = 1
    WEIGHTS = 2
    ACK = 3
    FEATURES = 4


@dataclass(frozen=True)
class Weights:
    """The actor's weights as the learner publishes them."""

    version: int
    """Counts the publications of a learner from 1."""
    arrays: Mapping[str, np.ndarray]
    """Named float32 arrays, of the actor only."""


@dataclass(frozen=True)
class Ack:
    """What the learner has safely stored, so that actors need not send it again."""

    last: Mapping[tuple[str, int], int]
    """(actor, run) to the last sequence number up to which every transition is in the journal."""
    version: int
    """The learner's newest weights version."""


class TransitionCodec:
    """Encodes and decodes batches of the transitions of one spec."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec
        self._digest = _digest(spec)
        action = Spec.of({"action": spec.action, "proposal": spec.action})
        self._observation = [_row(name, spec.observation) for name in spec.observation]
        self._actions = [_row(name, action) for name in action]
        rows = self._observation * 2 + self._actions
        self.record_size = _SCALARS.size + sum(dtype.itemsize * size for _, _, dtype, size in rows)
        """Bytes of one transition."""

    def encode(self, transitions: Sequence[Transition]) -> bytes:
        """Bytes of a batch. Raises `SpecError` when an array is not as the spec says."""
        return self.message([self.record(transition) for transition in transitions])

    def message(self, records: Sequence[bytes]) -> bytes:
        """The message of records that are encoded already, as when they are sent again."""
        return _seal(Kind.TRANSITIONS, self._digest, b"".join(records))

    def record(self, transition: Transition) -> bytes:
        """The bytes of one transition inside a message."""
        key = transition.key
        parts = [
            _SCALARS.pack(
                _actor_bytes(key.actor),
                key.run,
                key.sequence,
                transition.episode,
                transition.step,
                transition.policy_version,
                transition.stamp,
                transition.reward,
                transition.penalty,
                transition.source,
                _TERMINATED * transition.terminated | _TRUNCATED * transition.truncated,
            )
        ]
        _write(parts, self._observation, transition.observation)
        _write(parts, self._observation, transition.next_observation)
        _write(parts, self._actions, {"action": transition.action, "proposal": transition.proposal})
        return b"".join(parts)

    def decode(self, data: Bytes) -> list[Transition]:
        """Transitions of a batch; their arrays are read-only views of the message."""
        message = data if isinstance(data, bytes) else bytes(data)
        _check(message, Kind.TRANSITIONS, self._digest)
        count, rest = divmod(len(message) - _START, self.record_size)
        if rest:
            raise CodecError(
                f"transitions message: {rest} bytes are left over after {count} records of {self.record_size}"
            )
        return [self._decode_one(message, _START + i * self.record_size) for i in range(count)]

    def _decode_one(self, message: bytes, offset: int) -> Transition:
        scalars = _SCALARS.unpack_from(message, offset)
        actor, run, sequence, episode, step, policy_version, stamp, reward, penalty, source, flags = scalars
        if source not in _SOURCES:
            raise CodecError(f"transitions message: source {source}, valid: {sorted(_SOURCES)}")
        offset += _SCALARS.size
        observation, offset = _read(message, offset, self._observation)
        next_observation, offset = _read(message, offset, self._observation)
        actions, _ = _read(message, offset, self._actions)
        return Transition(
            key=Key(_text(actor.rstrip(b"\0"), "actor"), run, sequence),
            episode=episode,
            step=step,
            observation=observation,
            action=actions["action"],
            proposal=actions["proposal"],
            reward=reward,
            penalty=penalty,
            terminated=bool(flags & _TERMINATED),
            truncated=bool(flags & _TRUNCATED),
            next_observation=next_observation,
            source=_SOURCES[source],
            policy_version=policy_version,
            stamp=stamp,
        )


def encode_weights(weights: Weights, spec: EnvSpec) -> bytes:
    """Bytes of a weights message: version, count, then for each array its name, shape and float32 data."""
    parts = [struct.pack("<qI", weights.version, len(weights.arrays))]
    for name, value in weights.arrays.items():
        if value.dtype != np.float32:
            raise SpecError(f"weights {name!r}: dtype {value.dtype}, expected float32")
        text = name.encode()
        parts.append(struct.pack(f"<HB{value.ndim}I", len(text), value.ndim, *value.shape))
        parts += (text, value.astype("<f4", copy=False).tobytes())
    return _seal(Kind.WEIGHTS, _digest(spec), b"".join(parts))


def decode_weights(data: Bytes, spec: EnvSpec) -> Weights:
    """Inverse of `encode_weights`; the arrays are read-only views of the message."""
    message = data if isinstance(data, bytes) else bytes(data)
    _check(message, Kind.WEIGHTS, _digest(spec))
    reader = _Reader(message, Kind.WEIGHTS)
    version, count = reader.unpack("<qI")
    arrays: dict[str, np.ndarray] = {}
    for _ in range(count):
        name_length, rank = reader.unpack("<HB")
        shape = reader.unpack(f"<{rank}I")
        name = _text(reader.take(name_length), "array name")
        # Python integers: a damaged shape cannot overflow into a small size.
        size = 4
        for length in shape:
            size *= length
        values = np.frombuffer(reader.take(size), "<f4")
        try:
            arrays[name] = values.reshape(shape)
        except ValueError as error:  # More axes than NumPy has, or an empty array of absurd lengths.
            reader.fail(f"{name!r}: {error}")
    reader.finish()
    return Weights(version, arrays)


def encode_ack(ack: Ack, spec: EnvSpec) -> bytes:
    """Bytes of an acknowledgement: weights version, count, then for each run actor, run, last sequence."""
    parts = [struct.pack("<qI", ack.version, len(ack.last))]
    for (actor, run), sequence in ack.last.items():
        parts.append(struct.pack("<32sqq", _actor_bytes(actor), run, sequence))
    return _seal(Kind.ACK, _digest(spec), b"".join(parts))


def decode_ack(data: Bytes, spec: EnvSpec) -> Ack:
    """Inverse of `encode_ack`."""
    message = data if isinstance(data, bytes) else bytes(data)
    _check(message, Kind.ACK, _digest(spec))
    reader = _Reader(message, Kind.ACK)
    version, count = reader.unpack("<qI")
    last: dict[tuple[str, int], int] = {}
    for _ in range(count):
        actor, run, sequence = reader.unpack("<32sqq")
        last[_text(actor.rstrip(b"\0"), "actor"), run] = sequence
    reader.finish()
    return Ack(last, version)


def encode_features(camera: str, features: CameraFeatures) -> bytes:
    """Bytes of one picture's features: stamp, sizes and camera name, then the centre view and the crops."""
    centre, crops = features.centre, features.crops
    if centre.dtype != np.float16 or crops.dtype != np.float16:
        raise SpecError(f"features of {camera!r}: {centre.dtype} and {crops.dtype}, expected float16")
    if centre.ndim != 1 or crops.ndim != 2 or (len(crops) and crops.shape[1] != len(centre)):
        raise SpecError(f"features of {camera!r}: {centre.shape} and {crops.shape}, expected (d,) and (K, d)")
    name = camera.encode()
    head = struct.pack("<qIHH", features.stamp, len(centre), len(crops), len(name))
    digest = bytes.fromhex(features.encoder)
    return _seal(Kind.FEATURES, digest, b"".join((head, name, _half(centre), _half(crops))))


def decode_features(data: Bytes) -> tuple[str, CameraFeatures]:
    """Inverse of `encode_features`: camera and features, whose arrays are read-only views of the message.

    Whether they come from the encoder that is expected is for the caller to check.
    """
    message = data if isinstance(data, bytes) else bytes(data)
    digest = _check(message, Kind.FEATURES, None)
    reader = _Reader(message, Kind.FEATURES)
    stamp, size, count, name_length = reader.unpack("<qIHH")
    camera = _text(reader.take(name_length), "camera name")
    centre = np.frombuffer(reader.take(2 * size), "<f2")
    crops = np.frombuffer(reader.take(2 * size * count), "<f2").reshape(count, size)
    reader.finish()
    return camera, CameraFeatures(stamp, centre, crops, digest.hex())


def _half(values: np.ndarray) -> bytes:
    return values.astype("<f2", copy=False).tobytes()


_Row = tuple[str, tuple[int, ...], np.dtype, int]


def _row(name: str, spec: Spec) -> _Row:
    dtype = np.dtype(spec[name].dtype).newbyteorder("<")
    if dtype.hasobject:
        raise SpecError(f"{name}: dtype {dtype} holds Python objects; only plain numbers can be sent")
    return name, spec[name].shape, dtype, spec[name].size


def _write(parts: list[bytes], rows: list[_Row], values: Observation) -> None:
    if len(values) != len(rows):
        names = [name for name, *_ in rows]
        extra = next((name for name in values if name not in names), None)
        if extra is not None:
            raise SpecError(f"unexpected array {extra!r}: {nearest(extra, names)}")
    for name, shape, dtype, _ in rows:
        value = values.get(name)
        if value is None:
            raise SpecError(f"array {name!r} is missing")
        if value.shape != shape or value.dtype != dtype:
            raise SpecError(f"{name}: {value.dtype} {value.shape}, expected {dtype} {shape}")
        parts.append(value.tobytes())


def _read(message: bytes, offset: int, rows: list[_Row]) -> tuple[dict[str, np.ndarray], int]:
    out = {}
    for name, shape, dtype, size in rows:
        out[name] = np.ndarray(shape, dtype, message, offset)
        offset += size * dtype.itemsize
    return out, offset


def _actor_bytes(actor: str) -> bytes:
    text = actor.encode()
    if not text or len(text) > MAX_ACTOR_BYTES or b"\0" in text:
        raise CodecError(f"actor name {actor!r}: use 1 to {MAX_ACTOR_BYTES} bytes of UTF-8 without NUL")
    return text


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CodecError(f"{what} {data!r} is not UTF-8: {error.reason}") from None


def _digest(spec: EnvSpec) -> bytes:
    return bytes.fromhex(spec.digest)


def _seal(kind: Kind, digest: bytes, payload: bytes) -> bytes:
    if len(payload) > MAX_BYTES:
        raise CodecError(f"{kind.name.lower()} message: {len(payload)} bytes, at most {MAX_BYTES}: split it")
    header = _HEADER.pack(_MAGIC, VERSION, kind, 0, digest, len(payload))
    return b"".join((header, _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(header))), payload))


def _check(message: bytes, kind: Kind, digest: bytes | None) -> bytes:
    """Raise `CodecError` unless `message` is a whole, undamaged one of this kind and spec.

    Returns:
        The digest in its header, which must be `digest` unless that is None.
    """
    what = f"{kind.name.lower()} message"
    if len(message) < _START:
        raise CodecError(f"{what} is truncated: {len(message)} bytes, the header alone has {_START}")
    magic, version, found_kind, reserved, found_digest, length = _HEADER.unpack_from(message)
    if magic != _MAGIC:
        raise CodecError(f"{what} starts with {magic!r} instead of {_MAGIC!r}: not one of robot_rl's")
    if version != VERSION:
        raise CodecError(f"{what} has codec version {version}, expected {VERSION}: update the older side")
    if found_kind != kind:
        valid = {int(k): k.name.lower() for k in Kind}
        raise CodecError(f"expected a {what}, got kind {valid.get(found_kind, found_kind)}")
    if length > MAX_BYTES:
        raise CodecError(f"{what} announces {length} bytes, at most {MAX_BYTES} are valid")
    if len(message) != _START + length:
        state = "truncated" if len(message) < _START + length else "followed by other bytes"
        raise CodecError(f"{what} is {state}: {len(message)} bytes, expected {_START + length}")
    checksum = zlib.crc32(memoryview(message)[_START:], zlib.crc32(message[: _HEADER.size]))
    if checksum != _CHECKSUM.unpack_from(message, _HEADER.size)[0] or reserved:
        raise CodecError(f"{what} is corrupt: its checksum does not match its bytes")
    if digest is not None and found_digest != digest:
        raise CodecError(
            f"{what} was made for spec {found_digest.hex()}, ours is {digest.hex()}: "
            "start all nodes with the same task and settings"
        )
    return found_digest


class _Reader:
    """Walks through a checked payload; a length that leads outside of it is an error."""

    def __init__(self, message: bytes, kind: Kind) -> None:
        self._message = message
        self._offset = _START
        self._kind = kind

    def take(self, size: int) -> bytes:
        end = self._offset + size
        if end > len(self._message):
            self.fail(f"{size} bytes are announced at {self._offset}, {len(self._message)} in all")
        data = self._message[self._offset : end]
        self._offset = end
        return data

    def unpack(self, layout: str) -> tuple:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def finish(self) -> None:
        if self._offset != len(self._message):
            self.fail(f"{len(self._message) - self._offset} bytes are left over")

    def fail(self, reason: str) -> NoReturn:
        raise CodecError(f"{self._kind.name.lower()} message is malformed: {reason}")
