"""The byte codec: round trips, and every kind of damage named."""

from __future__ import annotations

import array
import dataclasses
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_rl.core.errors import CodecError, SpecError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import CameraFeatures, Key, Source
from robot_rl.data import codec as codec_module
from robot_rl.data.codec import (
    Ack,
    TransitionCodec,
    Weights,
    decode_ack,
    decode_features,
    decode_weights,
    encode_ack,
    encode_features,
    encode_weights,
)
from tests.unit.data_samples import assert_same, feature_spec, image_spec, small_spec, transition

SPEC = small_spec()
CODEC = TransitionCodec(SPEC)
int64 = st.integers(-(2**63), 2**63 - 1)
actors = st.text(min_size=1, max_size=8).filter(lambda s: "\0" not in s and s.isprintable())


@pytest.mark.parametrize(
    "spec", [small_spec(), image_spec(), feature_spec()], ids=["state", "image", "features"]
)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_batches_come_back_bit_for_bit(spec: EnvSpec, count: int) -> None:
    codec = TransitionCodec(spec)
    batch = [transition(spec, i) for i in range(count)]
    decoded = codec.decode(codec.encode(batch))
    assert len(decoded) == count
    for ours, theirs in zip(batch, decoded, strict=True):
        assert_same(ours, theirs)


@given(
    key=st.builds(Key, actors, int64, int64),
    reward=st.floats(allow_nan=False),
    episode=int64,
    flags=st.tuples(st.booleans(), st.booleans()),
    source=st.sampled_from(Source),
    stamp=int64,
)
@settings(max_examples=100, deadline=None)
def test_all_scalars_come_back(
    key: Key, reward: float, episode: int, flags: tuple[bool, bool], source: Source, stamp: int
) -> None:
    ours = transition(
        SPEC,
        key=key,
        reward=reward,
        penalty=-reward,
        episode=episode,
        terminated=flags[0],
        truncated=flags[1],
        source=source,
        stamp=stamp,
    )
    assert_same(ours, CODEC.decode(CODEC.encode([ours]))[0])


def test_any_buffer_is_read_and_the_arrays_do_not_follow_it() -> None:
    message = CODEC.encode([transition(SPEC, 3)])
    numpy_buffer = np.frombuffer(message, np.uint8).copy()
    for data in (bytearray(message), memoryview(message), array.array("B", message), numpy_buffer):
        assert_same(transition(SPEC, 3), CODEC.decode(data)[0])
    decoded = CODEC.decode(numpy_buffer)[0]
    numpy_buffer[:] = 0
    assert_same(transition(SPEC, 3), decoded)
    assert not decoded.action.flags.writeable


def test_non_contiguous_arrays_are_written_in_their_order() -> None:
    spec = image_spec()
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(6, 4, 3).transpose(1, 0, 2)
    ours = transition(spec)
    ours = transition(spec, observation={**ours.observation, "wrist": image})
    codec = TransitionCodec(spec)
    np.testing.assert_array_equal(codec.decode(codec.encode([ours]))[0].observation["wrist"], image)


def test_truncation_anywhere_is_named() -> None:
    message = CODEC.encode([transition(SPEC, i) for i in range(2)])
    for length in range(len(message)):
        with pytest.raises(CodecError, match="truncated"):
            CODEC.decode(message[:length])
    with pytest.raises(CodecError, match="followed by other bytes"):
        CODEC.decode(message + b"\0")


def test_every_flipped_bit_is_found() -> None:
    message = CODEC.encode([transition(SPEC)])
    for byte in range(len(message)):
        for bit in (0, 7):
            damaged = bytearray(message)
            damaged[byte] ^= 1 << bit
            with pytest.raises(CodecError):
                CODEC.decode(damaged)


def _reseal(message: bytes, offset: int, value: bytes) -> bytes:
    """The message with a part of its header changed and a checksum that fits."""
    damaged = bytearray(message)
    damaged[offset : offset + len(value)] = value
    checksum = zlib.crc32(damaged[24:], zlib.crc32(damaged[:20]))
    damaged[20:24] = struct.pack("<I", checksum)
    return bytes(damaged)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"RRLX", "starts with b'RRLX' instead of b'RRLM'"),
        (4, b"\x02", "codec version 2, expected 1"),
        (5, b"\x02", "expected a transitions message, got kind weights"),
        (5, b"\x63", "got kind 99"),
        (8, b"\0" * 8, "made for spec 0000000000000000, ours is " + SPEC.digest),
        (16, struct.pack("<I", 2**32 - 1), "announces 4294967295 bytes, at most"),
    ],
)
def test_a_wrong_header_says_which_part(offset: int, value: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=re.escape(message)):
        CODEC.decode(_reseal(CODEC.encode([transition(SPEC)]), offset, value))


def test_a_flipped_data_byte_is_called_corrupt() -> None:
    message = bytearray(CODEC.encode([transition(SPEC)]))
    message[200] ^= 1
    with pytest.raises(CodecError, match="corrupt"):
        CODEC.decode(message)


def test_a_message_of_another_rate_is_refused() -> None:
    with pytest.raises(CodecError, match="made for spec"):
        TransitionCodec(small_spec(20.0)).decode(CODEC.encode([transition(SPEC)]))


def test_features_of_another_encoder_are_refused() -> None:
    spec = feature_spec()
    arrays = {n: dataclasses.replace(a, encoder=a.encoder[::-1]) for n, a in spec.observation.entries}
    other = dataclasses.replace(spec, observation=Spec.of(arrays))
    with pytest.raises(CodecError, match="made for spec"):
        TransitionCodec(other).decode(TransitionCodec(spec).encode([transition(spec)]))


def test_a_source_that_does_not_exist_is_refused() -> None:
    message = CODEC.encode([transition(SPEC)])
    with pytest.raises(CodecError, match="source 9"):
        CODEC.decode(_reseal(message, 24 + 96, b"\x09"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cube.yaw": np.zeros(3, np.float32)}, r"cube.yaw: float32 \(3,\), expected float32 \(2,\)"),
        ({"cube.yaw": np.zeros(2)}, r"cube.yaw: float64 \(2,\), expected float32"),
        ({"cube.jaw": np.zeros(2)}, "unexpected array 'cube.jaw': did you mean 'cube.yaw'"),
    ],
)
def test_what_does_not_fit_the_spec_is_not_sent(change: dict, message: str) -> None:
    good = transition(SPEC)
    with pytest.raises(SpecError, match=message):
        CODEC.encode([transition(SPEC, observation={**good.observation, **change})])


def test_a_missing_array_is_not_sent() -> None:
    observation = dict(transition(SPEC).observation)
    observation["other"] = observation.pop("hold")
    with pytest.raises(SpecError, match="'hold' is missing"):
        CODEC.encode([transition(SPEC, observation=observation)])
    del observation["other"]
    with pytest.raises(SpecError, match="'hold' is missing"):
        CODEC.encode([transition(SPEC, observation=observation)])


@pytest.mark.parametrize("actor", ["", "a" * 33, "a\0b"])
def test_actor_names_that_cannot_be_sent_are_refused(actor: str) -> None:
    with pytest.raises(CodecError, match="actor name"):
        CODEC.encode([transition(SPEC, actor=actor)])


def test_an_array_of_python_objects_is_refused() -> None:
    spec = EnvSpec(Spec.of({"a": ArraySpec((1,), dtype="object")}), SPEC.action, 10.0)
    with pytest.raises(SpecError, match="Python objects"):
        TransitionCodec(spec)


def test_a_message_over_the_limit_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_module, "MAX_BYTES", 1000)
    with pytest.raises(CodecError, match="at most 1000: split it"):
        CODEC.encode([transition(SPEC, i) for i in range(3)])


@given(
    version=int64,
    shapes=st.dictionaries(
        st.text(max_size=12), st.lists(st.integers(0, 4), max_size=3).map(tuple), max_size=5
    ),
)
@settings(max_examples=100, deadline=None)
def test_weights_come_back(version: int, shapes: dict[str, tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    back = decode_weights(encode_weights(Weights(version, arrays), SPEC), SPEC)
    assert back.version == version
    assert list(back.arrays) == list(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], value, strict=True)


def test_weights_are_float32_only() -> None:
    with pytest.raises(SpecError, match="'w': dtype float64, expected float32"):
        encode_weights(Weights(1, {"w": np.zeros(2)}), SPEC)


@given(last=st.dictionaries(st.tuples(actors, int64), int64, max_size=5), version=int64)
@settings(max_examples=100, deadline=None)
def test_acks_come_back(last: dict[tuple[str, int], int], version: int) -> None:
    assert decode_ack(encode_ack(Ack(last, version), SPEC), SPEC) == Ack(last, version)


MESSAGES = {
    "transitions": (CODEC.encode([transition(SPEC)]), CODEC.decode),
    "weights": (
        encode_weights(Weights(3, {"a": np.ones((2, 3), np.float32), "b": np.ones(2, np.float32)}), SPEC),
        lambda data: decode_weights(data, SPEC),
    ),
    "ack": (encode_ack(Ack({("a", 1): 5, ("b", 2): 6}, 4), SPEC), lambda data: decode_ack(data, SPEC)),
}


@pytest.mark.parametrize("kind", MESSAGES)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_bytes_with_a_fitting_checksum_never_raise_anything_else(kind: str, data: st.DataObject) -> None:
    """Whatever the payload says, the answer is a value or a CodecError: no overflow, no huge allocation."""
    message, decode = MESSAGES[kind]
    payload = bytearray(message[24:])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    del payload[data.draw(st.integers(0, len(payload))) :]
    header = message[:16] + struct.pack("<I", len(payload))
    checksum = zlib.crc32(payload, zlib.crc32(header))
    try:
        decode(header + struct.pack("<I", checksum) + payload)
    except CodecError as error:
        assert str(error)


@pytest.mark.parametrize("kind", MESSAGES)
@given(junk=st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_junk_is_refused(kind: str, junk: bytes) -> None:
    with pytest.raises(CodecError):
        MESSAGES[kind][1](junk)


def test_each_kind_is_only_read_as_itself() -> None:
    for kind, (message, _) in MESSAGES.items():
        for other, (_, decode) in MESSAGES.items():
            if kind != other:
                with pytest.raises(CodecError, match=f"expected a {other} message, got kind {kind}"):
                    decode(message)


halves = st.floats(width=16)


@st.composite
def some_features(draw: st.DrawFn) -> CameraFeatures:
    size = draw(st.integers(1, 40))
    return CameraFeatures(
        stamp=draw(int64),
        centre=draw(arrays(np.float16, (size,), elements=halves)),
        crops=draw(arrays(np.float16, (draw(st.integers(0, 4)), size), elements=halves)),
        encoder=draw(st.binary(min_size=8, max_size=8)).hex(),
    )


@given(camera=st.text(max_size=20), features=some_features())
@settings(max_examples=100, deadline=None)
def test_features_come_back_bit_for_bit(camera: str, features: CameraFeatures) -> None:
    name, back = decode_features(encode_features(camera, features))
    assert (name, back.stamp, back.encoder) == (camera, features.stamp, features.encoder)
    assert back.centre.tobytes() == features.centre.tobytes()
    assert back.crops.shape == features.crops.shape
    assert back.crops.tobytes() == features.crops.tobytes()


FEATURES = CameraFeatures(7, np.ones(3, np.float16), np.zeros((2, 3), np.float16), "0123456789abcdef")


def test_damaged_features_are_refused() -> None:
    message = encode_features("side", FEATURES)
    for length in range(len(message)):
        with pytest.raises(CodecError, match="truncated"):
            decode_features(message[:length])
    for byte in range(len(message)):
        damaged = bytearray(message)
        damaged[byte] ^= 16
        with pytest.raises(CodecError):
            decode_features(damaged)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (5, b"\x02", "expected a features message, got kind weights"),
        (32, struct.pack("<I", 2**31), "4294967296 bytes are announced"),
        (32, struct.pack("<I", 2), "bytes are left over"),
        (36, struct.pack("<H", 3), "are announced"),
    ],
)
def test_features_with_wrong_lengths_are_malformed(offset: int, value: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        decode_features(_reseal(encode_features("side", FEATURES), offset, value))


@pytest.mark.parametrize(
    ("centre", "crops", "message"),
    [
        (np.ones(3, np.float32), np.ones((0, 3), np.float16), "float32 and float16, expected float16"),
        (np.ones(3, np.float16), np.ones((2, 4), np.float16), r"\(3,\) and \(2, 4\), expected"),
        (np.ones((1, 3), np.float16), np.ones((0, 3), np.float16), r"expected \(d,\) and"),
    ],
)
def test_features_of_another_form_are_not_sent(centre: np.ndarray, crops: np.ndarray, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        encode_features("side", CameraFeatures(0, centre, crops, FEATURES.encoder))
