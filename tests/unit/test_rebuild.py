"""Features that are encoded again from the pictures of episode logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.core.errors import LogError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import Episode, EpisodeResult, Key, Mode, StampedImage, Transition
from robot_rl.data import messages
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, episode_path
from robot_rl.perception.encoder import FrameEncoder, load_encoder
from robot_rl.perception.rebuild import rebuild, rebuilt_spec
from robot_rl.perception.settings import FEATURES, EncoderConfig
from tests.unit.data_samples import ACTION, assert_same, random_arrays, transition

CAMERAS = ("wrist", "side")
PERIOD = 100_000_000
STEPS = 3


def spec_for(encoder: FrameEncoder) -> EnvSpec:
    """As tasks make it: proprioception, features, crops."""

    def array(*shape: int) -> ArraySpec:
        return ArraySpec(shape, low=-5.0, high=5.0, dtype="float16", encoder=encoder.digest)

    arrays = {"tcp.position": ArraySpec((3,), "m", "base")}
    arrays |= {f"{camera}.features": array(FEATURES) for camera in CAMERAS}
    if encoder.config.crops:
        arrays |= {f"{camera}.crops": array(encoder.config.crops, FEATURES) for camera in CAMERAS}
    return EnvSpec(Spec.of(arrays), ACTION, 10.0, "seen")


def frame(camera: str, episode: int, tick: int) -> StampedImage:
    rng = np.random.default_rng((CAMERAS.index(camera), episode, tick))
    image = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    return StampedImage((10 * episode + tick) * PERIOD, image)


def observe(encoder: FrameEncoder, episode: int, tick: int) -> dict[str, np.ndarray]:
    seen = encoder.encode({camera: frame(camera, episode, tick) for camera in CAMERAS})
    spec = spec_for(encoder)
    arrays = random_arrays(spec.observation, np.random.default_rng((episode, tick)))
    for camera in CAMERAS:
        arrays[f"{camera}.features"] = seen[camera].centre
        if encoder.config.crops:
            arrays[f"{camera}.crops"] = seen[camera].crops
    return arrays


def steps_of(encoder: FrameEncoder, episode: int) -> list[Transition]:
    return [
        transition(
            spec_for(encoder),
            episode * STEPS + step,
            key=Key("actor", 1, episode * STEPS + step),
            episode=episode,
            step=step,
            observation=observe(encoder, episode, step),
            next_observation=observe(encoder, episode, step + 1),
            stamp=(10 * episode + step + 1) * PERIOD,
        )
        for step in range(STEPS)
    ]


def write_log(folder: Path, encoder: FrameEncoder, episode: int, encoding: str = "") -> None:
    spec = spec_for(encoder)
    with EpisodeLog(episode_path(folder, episode), spec, Episode(episode, 0, Mode.TRAIN)) as log:
        for tick in range(STEPS + 1):
            for camera in CAMERAS:
                picture = frame(camera, episode, tick)
                data = messages.image(picture.stamp, picture.image, camera)
                data = data.replace(b"rgb8\0", f"{encoding}\0".encode()) if encoding else data
                log.write(f"{camera}/image_raw", messages.IMAGE, data, picture.stamp)
        for one in steps_of(encoder, episode):
            data = messages.byte_array(TransitionCodec(spec).encode([one]))
            log.write(TRANSITIONS_TOPIC, messages.BYTES, data, one.stamp)
        log.close(
            EpisodeResult(Episode(episode, 0, Mode.TRAIN), STEPS, True, 1.0, 0, 0, 0),
        )


@pytest.fixture(scope="module")
def old() -> FrameEncoder:
    return load_encoder(EncoderConfig(kind="random", seed=1, crops=2))


@pytest.fixture(scope="module")
def logs(old: FrameEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for episode in range(2):
        write_log(folder, old, episode)
    return folder


@pytest.mark.parametrize("crops", [0, 3])
def test_another_encoder_gives_what_it_would_have_seen(logs: Path, crops: int) -> None:
    new = load_encoder(EncoderConfig(kind="random", seed=2, crops=crops))
    found = list(rebuild(logs, new))
    expected = [one for episode in range(2) for one in steps_of(new, episode)]
    assert len(found) == len(expected)
    spec = spec_for(new).observation
    for a, b in zip(found, expected, strict=True):
        spec.validate(a.observation)
        spec.validate(a.next_observation)
        assert a.key == b.key
        for camera in CAMERAS:
            for name in (f"{camera}.features", *((f"{camera}.crops",) if crops else ())):
                assert np.array_equal(a.observation[name], b.observation[name])
                assert np.array_equal(a.next_observation[name], b.next_observation[name])


def test_the_same_encoder_changes_nothing(logs: Path, old: FrameEncoder) -> None:
    for a, b in zip(rebuild(logs, old), [t for e in range(2) for t in steps_of(old, e)], strict=True):
        assert_same(a, b)


def test_the_spec_is_that_of_a_task_with_the_new_encoder(old: FrameEncoder) -> None:
    for crops in (0, 3):
        new = load_encoder(EncoderConfig(kind="random", seed=2, crops=crops))
        assert rebuilt_spec(spec_for(old), new).digest == spec_for(new).digest


def test_pictures_arrive_late(logs: Path, old: FrameEncoder) -> None:
    first, second, *_ = rebuild(logs, old, latency=0.05)
    assert np.array_equal(second.observation["side.features"], observe(old, 0, 0)["side.features"])
    assert np.array_equal(first.observation["side.features"], observe(old, 0, 0)["side.features"])


def test_a_picture_in_another_encoding_is_named(old: FrameEncoder, tmp_path: Path) -> None:
    write_log(tmp_path, old, 0, encoding="yuv8")
    with pytest.raises(LogError, match="'yuv8'; valid: rgb8"):
        list(rebuild(tmp_path, old))


def test_logs_without_features_or_pictures_are_refused(old: FrameEncoder, tmp_path: Path) -> None:
    blind = EnvSpec(Spec.of({"tcp.position": ArraySpec((3,), "m", "base")}), ACTION, 10.0, "blind")
    with pytest.raises(LogError, match="nothing to encode again"):
        rebuilt_spec(blind, old)
    spec = spec_for(old)
    with EpisodeLog(episode_path(tmp_path, 0), spec, Episode(0, 0, Mode.TRAIN)) as log:
        data = messages.byte_array(TransitionCodec(spec).encode(steps_of(old, 0)))
        log.write(TRANSITIONS_TOPIC, messages.BYTES, data, PERIOD)
    with pytest.raises(LogError, match="no pictures on wrist/image_raw"):
        list(rebuild(tmp_path, old))
