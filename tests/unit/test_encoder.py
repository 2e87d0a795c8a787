"""Encoders: what they take, give and refuse; crops; ResNet-10."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_rl.core.errors import ConfigError, EncoderError
from robot_rl.core.protocols import Encoder
from robot_rl.core.types import StampedImage
from robot_rl.perception.encoder import (
    CameraNetwork,
    FrameEncoder,
    as_input,
    draw_shifts,
    load_encoder,
    save_encoder,
    shifted,
)
from robot_rl.perception.networks import KeypointNetwork, ResNet10, ResNetEncoder, randomise
from robot_rl.perception.settings import FEATURES, EncoderConfig, file_digest

RANDOM = EncoderConfig(kind="random", crops=4)


def picture(seed: int = 0) -> np.ndarray:
    """Smooth enough that a shift of it is recognised, and different everywhere."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def encoder() -> FrameEncoder:
    return load_encoder(RANDOM)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with networks of the wrist and side cameras."""
    path = tmp_path_factory.mktemp("encoder") / "small.safetensors"
    networks = {}
    for seed, camera in enumerate(("wrist", "side")):
        network = KeypointNetwork(3, 2)
        randomise(network, seed)
        labels = ("cube.x", "cube.y", "cube.seen")
        networks[camera] = CameraNetwork(network, torch.zeros(FEATURES), torch.ones(FEATURES), labels, 2)
    save_encoder(path, networks, {"seed": 0})
    return path


def test_it_satisfies_the_protocol(encoder: FrameEncoder) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.cameras == ("wrist", "side")
    assert encoder.digest == RANDOM.digest


def test_features_of_a_frame(encoder: FrameEncoder) -> None:
    frames = {camera: StampedImage(7, picture()) for camera in ("side", "wrist")}
    features = encoder.encode(frames)
    assert set(features) == {"wrist", "side"}
    for seen in features.values():
        assert seen.stamp == 7
        assert seen.encoder == encoder.digest
        assert seen.centre.shape == (FEATURES,)
        assert seen.centre.dtype == np.float16
        assert seen.crops.shape == (4, FEATURES)
        assert seen.crops.dtype == np.float16
        assert np.isfinite(seen.centre).all()
        assert np.abs(seen.crops).max() <= 5.0


def test_the_centre_view_does_not_depend_on_the_number_of_crops(encoder: FrameEncoder) -> None:
    frame = {"wrist": StampedImage(7, picture())}
    without = load_encoder(EncoderConfig(kind="random")).encode(frame)["wrist"]
    assert without.crops.shape == (0, FEATURES)
    assert np.array_equal(without.centre, encoder.encode(frame)["wrist"].centre)


def test_a_frame_that_is_encoded_again_gives_the_same_crops(encoder: FrameEncoder) -> None:
    first = encoder.encode({"wrist": StampedImage(7, picture())})["wrist"]
    again = load_encoder(RANDOM).encode({"wrist": StampedImage(7, picture())})["wrist"]
    later = encoder.encode({"wrist": StampedImage(8, picture())})["wrist"]
    other = encoder.encode({"side": StampedImage(7, picture())})["side"]
    assert np.array_equal(first.crops, again.crops)
    assert not np.array_equal(first.crops, later.crops)
    assert not np.array_equal(first.crops, other.crops)


def test_a_picture_may_be_a_read_only_view(encoder: FrameEncoder) -> None:
    image = picture()
    mirrored = image[:, ::-1].copy()[:, ::-1]
    mirrored.flags.writeable = False
    one, two = (encoder.encode({"wrist": StampedImage(0, i)})["wrist"] for i in (image, mirrored))
    assert np.array_equal(one.centre, two.centre)
    assert np.array_equal(one.crops, two.crops)


def test_pictures_differ_in_their_features(encoder: FrameEncoder) -> None:
    one, two = (encoder.encode({"wrist": StampedImage(0, picture(s))})["wrist"].centre for s in (0, 1))
    assert np.abs(one.astype(float) - two).mean() > 0.1


def test_81_crops_are_all_shifts_of_up_to_4_pixels_once() -> None:
    config = EncoderConfig(kind="random", crops=81, shift=4)
    for camera, stamp in (("wrist", 0), ("side", 10**18)):
        shifts = draw_shifts(config, camera, stamp)
        assert {tuple(s) for s in shifts.tolist()} == {(r, c) for r in range(-4, 5) for c in range(-4, 5)}
    with pytest.raises(ConfigError, match="at most 81"):
        dataclasses.replace(config, crops=82)


def test_fewer_crops_are_different_shifts() -> None:
    for stamp in range(20):
        shifts = draw_shifts(RANDOM, "wrist", stamp)
        assert len({tuple(s) for s in shifts.tolist()}) == 4
        assert np.abs(shifts).max() <= 4


def test_a_shift_moves_the_picture_and_repeats_its_edge() -> None:
    image = np.arange(8 * 8 * 3).reshape(8, 8, 3).astype(np.uint8)
    still, moved = shifted(image, np.array([[0, 0], [2, -1]]), 2)
    assert np.array_equal(still, image)
    assert np.array_equal(moved[2:, :-1], image[:-2, 1:])
    assert np.array_equal(moved[0, :-1], image[0, 1:])
    assert np.array_equal(moved[2:, -1], image[:-2, -1])


def test_a_crop_has_the_features_of_the_shifted_picture(encoder: FrameEncoder) -> None:
    image = picture()
    crops = encoder.encode({"wrist": StampedImage(3, image)})["wrist"].crops.astype(float)
    for view, crop in zip(shifted(image, draw_shifts(RANDOM, "wrist", 3), 4), crops, strict=True):
        alone = encoder.encode({"wrist": StampedImage(0, view)})["wrist"].centre
        assert np.allclose(alone, crop, atol=0.01)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((128, 128), np.uint8),
        np.zeros((128, 128, 3), np.float32),
        np.zeros((3, 128, 128), np.uint8),
    ],
)
def test_other_pictures_are_refused(encoder: FrameEncoder, image: np.ndarray) -> None:
    with pytest.raises(EncoderError, match=r"\(128, 128, 3\) uint8"):
        encoder.encode({"wrist": StampedImage(0, image)})


def test_an_unknown_camera_is_refused(encoder: FrameEncoder) -> None:
    with pytest.raises(EncoderError, match="did you mean 'wrist'"):
        encoder.encode({"wrst": StampedImage(0, picture())})


def test_a_file_gives_what_was_saved(small_file: Path) -> None:
    encoder = load_encoder(EncoderConfig(file=str(small_file)), ("side",))
    assert encoder.cameras == ("side",)
    part = encoder.networks["side"]
    assert part.labels == ("cube.x", "cube.y", "cube.seen")
    network = KeypointNetwork(3, 2)
    randomise(network, 1)
    with torch.inference_mode():
        expected = network.features(as_input(torch.from_numpy(picture())[None]))[0].clamp(-5.0, 5.0)
    centre = encoder.encode({"side": StampedImage(0, picture())})["side"].centre
    assert np.allclose(centre, expected.numpy(), atol=0.01)


def test_near_copies_are_steep_copies_of_the_labels() -> None:
    network = KeypointNetwork(3, 2)
    randomise(network, 0)
    with torch.inference_mode():
        inputs = as_input(torch.from_numpy(picture())[None])
        _, labels = network(inputs)
        features = network.features(inputs)
    assert torch.equal(features[:, -5:-2], labels)
    assert torch.allclose(features[:, -2:], torch.tanh(10.0 * labels[:, :2]))


def test_the_digest_changes_with_all_that_changes_the_features(small_file: Path) -> None:
    configs = (
        EncoderConfig(kind="random"),
        EncoderConfig(kind="random", seed=1),
        EncoderConfig(kind="resnet10"),
        EncoderConfig(kind="resnet10", pooling="average"),
        EncoderConfig(file=str(small_file)),
    )
    assert len({config.digest for config in configs}) == len(configs)
    assert EncoderConfig(kind="random", crops=4).digest == EncoderConfig(kind="random").digest


def test_a_file_must_have_the_wanted_sha256(small_file: Path) -> None:
    right = file_digest(small_file)
    load_encoder(EncoderConfig(file=str(small_file), sha256=right))
    with pytest.raises(EncoderError, match=f"sha256 {right}"):
        load_encoder(EncoderConfig(file=str(small_file), sha256="0" * 64))


@pytest.mark.parametrize("keep", [0, 6, 500, -1])
def test_a_truncated_file_is_refused(small_file: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(small_file.read_bytes()[:keep])
    with pytest.raises(EncoderError, match="damaged"):
        load_encoder(EncoderConfig(file=str(path)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(EncoderConfig(file=str(tmp_path / "none.safetensors")))


def test_a_file_without_the_camera_is_refused(small_file: Path) -> None:
    with pytest.raises(EncoderError, match="no network for the camera 'top'"):
        load_encoder(EncoderConfig(file=str(small_file)), ("top",))


def test_a_file_of_another_network_is_refused(small_file: Path) -> None:
    with pytest.raises(EncoderError, match="its network is 'keypoints', expected 'resnet10'"):
        load_encoder(EncoderConfig(kind="resnet10", file=str(small_file)))


@pytest.mark.parametrize("damage", ["shape", "missing", "infinite", "deviation"])
def test_weights_that_do_not_fit_are_refused(small_file: Path, tmp_path: Path, damage: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(small_file, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if damage == "shape":
        tensors["wrist.head.weight"] = torch.zeros(4, 5)
    elif damage == "missing":
        del tensors["wrist.keypoints.weight"]
    elif damage == "infinite":
        tensors["wrist.head.bias"][0] = float("nan")
    else:
        tensors["wrist.deviation"][0] = 0.0
    path = tmp_path / "bad.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(EncoderError, match="wrist"):
        load_encoder(EncoderConfig(file=str(path)))


def test_a_trainable_encoder_has_no_features() -> None:
    with pytest.raises(EncoderError, match="no fixed features"):
        load_encoder(EncoderConfig(kind="trainable"))


def test_resnet_10_is_as_large_as_serls() -> None:
    backbone = ResNet10()
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(4.9e6, rel=0.01)
    with torch.inference_mode():
        assert backbone(torch.rand(2, 3, 128, 128)).shape == (2, 512, 4, 4)


@pytest.mark.parametrize("pooling", ["spatial", "average"])
def test_resnet_10_encodes_and_loads(pooling: Any, tmp_path: Path) -> None:
    config = EncoderConfig(kind="resnet10", pooling=pooling)
    encoder = load_encoder(config)
    frame = {"wrist": StampedImage(0, picture())}
    seen = encoder.encode(frame)["wrist"].centre
    assert seen.shape == (FEATURES,)
    assert 0.1 < seen.astype(float).std() <= 5.0
    path = tmp_path / "resnet.safetensors"
    save_encoder(path, encoder.networks, {})
    loaded = load_encoder(dataclasses.replace(config, file=str(path))).encode(frame)["wrist"].centre
    assert np.array_equal(loaded, seen)
    other = "average" if pooling == "spatial" else "spatial"
    with pytest.raises(EncoderError, match="pooling"):
        load_encoder(dataclasses.replace(config, file=str(path), pooling=other))


def test_spatial_embeddings_are_weighted_sums_over_the_map() -> None:
    network = ResNetEncoder(ResNet10(), "spatial")
    pool = network.pool
    maps = torch.rand(2, 512, 4, 4)
    with torch.inference_mode():
        pooled = pool(maps)
    assert pooled.shape == (2, 4096)
    weight = next(pool.parameters()).detach()
    assert float(pooled[1, 8 * 3 + 5]) == pytest.approx(float((maps[1, 3] * weight[3, 5]).sum()), rel=1e-4)


def test_settings_need_no_torch() -> None:
    code = "import sys; import robot_rl.perception.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
