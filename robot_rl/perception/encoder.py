"""The frozen encoder at run time: a picture in, 256 normalised features out, and those of shifted crops.

The crops are DrQ's augmentation (Yarats, Kostrikov and Fergus, "Image Augmentation Is All You Need", ICLR
2021) made when the frame is captured, not when it is learned from: the picture with its edge repeated, moved
by whole pixels. Which shifts a frame gets depends on the seed, its stamp and its camera alone, so that the
features of a logged frame can be computed again. With `crops` as many as there are shifts each comes exactly
once, and a draw of one of them is what re-encoding with a fresh crop at every batch would give.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from robot_rl.core.errors import EncoderError, nearest
from robot_rl.core.types import CameraFeatures, StampedImage
from robot_rl.perception.networks import KeypointNetwork, ResNet10, ResNetEncoder, randomise
from robot_rl.perception.settings import FEATURES, IMAGE, EncoderConfig

FORMAT = "robot_rl.encoder/1"
LIMIT = 5.0
"""Normalised features are clipped at this many standard deviations."""
RANDOM_HEAD = (12, 10)
"""Outputs of the head of a random keypoint network, and how many of them have a near copy."""

_STATISTICS_PICTURES = 64
_SHARED = "shared"


@dataclass(frozen=True)
class CameraNetwork:
    """The network of one camera, and the statistics of its features on the pictures that it was made for."""

    network: KeypointNetwork | ResNetEncoder
    mean: Tensor
    """(256,)."""
    deviation: Tensor
    """(256,) standard deviation over the scale that the feature is handed on with, more than 0."""
    labels: tuple[str, ...] = ()
    """What the outputs of the head are, such as "cube.x"; () where there is no head, or a random one."""
    near: int = 0
    """So many of them, from the first, have a near copy among the features."""

    @torch.inference_mode()
    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """(n, 256) float16 features of (n, 128, 128, 3) uint8 pictures."""
        features = self.network.features(as_input(torch.from_numpy(pictures)))
        features = (features - self.mean) / self.deviation
        return features.clamp_(-LIMIT, LIMIT).to(torch.float16).numpy()


class FrameEncoder:
    """Encodes pictures: an `Encoder` of `robot_rl.core.protocols`. Made by `load_encoder`.

    Args:
        networks: Of each camera.
        config: Crops, their shifts and seed.
        digest: Of the encoder, that goes with its features.
    """

    def __init__(self, networks: Mapping[str, CameraNetwork], config: EncoderConfig, digest: str) -> None:
        self.networks = dict(networks)
        """Of each camera."""
        self.config = config
        """Crops, their shifts and seed."""
        self._digest = digest

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self.networks)

    @property
    def digest(self) -> str:
        return self._digest

    def encode(self, images: Mapping[str, StampedImage]) -> dict[str, CameraFeatures]:
        """Features of the picture of each camera that `images` names.

        Raises:
            EncoderError: A camera is unknown, or a picture is not (128, 128, 3) uint8.
        """
        return {camera: self._encode(camera, frame) for camera, frame in images.items()}

    def _encode(self, camera: str, frame: StampedImage) -> CameraFeatures:
        network = self.networks.get(camera)
        if network is None:
            raise EncoderError(f"the encoder has no camera {camera!r}: {nearest(camera, self.networks)}")
        image = frame.image
        if image.shape != (IMAGE, IMAGE, 3) or image.dtype != np.uint8:
            raise EncoderError(
                f"{camera}: the encoder takes ({IMAGE}, {IMAGE}, 3) uint8 pictures, not {image.shape} "
                f"{image.dtype}; set the camera's crop and size"
            )
        # By itself, so that its bits do not depend on how many crops there are; a copy, since PyTorch takes
        # no read-only arrays, as those out of messages are.
        centre = network(np.array(image)[None])[0]
        config = self.config
        crops = np.zeros((0, FEATURES), np.float16)
        if config.crops:
            shifts = draw_shifts(config, camera, frame.stamp)
            crops = network(shifted(image, shifts, config.shift))
        return CameraFeatures(frame.stamp, centre, crops, self._digest)


def draw_shifts(config: EncoderConfig, camera: str, stamp: int) -> np.ndarray:
    """(crops, 2) int64 shifts (down, right) in [-shift, shift] [pixels], all different."""
    side = 2 * config.shift + 1
    rng = np.random.default_rng((config.seed, stamp, zlib.crc32(camera.encode())))
    chosen = rng.permutation(side * side)[: config.crops]
    return np.stack(np.divmod(chosen, side), axis=1) - config.shift


def shifted(image: np.ndarray, shifts: np.ndarray, shift: int) -> np.ndarray:
    """(k, h, w, 3) copies of `image`, moved by `shifts`; what is uncovered repeats the edge."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)), mode="edge")
    starts = shift - shifts
    return np.stack([padded[r : r + height, c : c + width] for r, c in starts.tolist()])


def as_input(pictures: Tensor) -> Tensor:
    """(n, 3, h, w) float32 in [0, 1] of (n, h, w, 3) uint8 pictures, in the memory layout that is fastest."""
    return pictures.permute(0, 3, 1, 2).float().div_(255.0)


def load_encoder(
    config: EncoderConfig, cameras: tuple[str, ...] = ("wrist", "side"), threads: int = 1
) -> FrameEncoder:
    """The encoder of a configuration.

    Args:
        config: Which one.
        cameras: Those to encode, in this order.
        threads: PyTorch's, for this whole process: more than one are slower for single pictures.

    Raises:
        EncoderError: The file is missing or damaged, is of another kind, has another sha256 than
            `config.sha256`, or lacks a camera; or the kind is "trainable", which has no features.
    """
    if config.kind == "trainable":
        raise EncoderError(
            'encoder.kind "trainable" has no fixed features: the learner takes the pictures themselves. '
            'Frozen kinds: "pretrained", "random", "resnet10"'
        )
    torch.set_num_threads(threads)
    digest, path = config.digest, config.path
    networks = _random_networks(config, cameras) if path is None else _read(path, config, cameras)
    return FrameEncoder(networks, config, digest)


def save_encoder(path: Path, networks: Mapping[str, CameraNetwork], provenance: Mapping[str, Any]) -> None:
    """Write networks, all of one kind, as a file for `load_encoder`; a backbone of ResNets is shared.

    Args:
        path: A safetensors file.
        networks: Of each camera.
        provenance: How they were trained, for the reader; goes into the file as JSON.
    """
    tensors: dict[str, Tensor] = {}
    network, pooling = "keypoints", ""
    for camera, part in networks.items():
        arrays = part.network.state_dict() | {"mean": part.mean, "deviation": part.deviation}
        owners = dict.fromkeys(arrays, camera)
        if isinstance(part.network, ResNetEncoder):
            network, pooling = "resnet10", part.network.pooling
            owners |= {name: _SHARED for name in arrays if name.startswith("backbone.")}
        tensors |= {f"{owners[name]}.{name}": value.contiguous().clone() for name, value in arrays.items()}
    metadata = {
        "format": FORMAT,
        "network": network,
        "pooling": pooling,
        "features": str(FEATURES),
        "image": str(IMAGE),
        "labels": json.dumps({camera: part.labels for camera, part in networks.items()}),
        "near": json.dumps({camera: part.near for camera, part in networks.items()}),
        "provenance": json.dumps(dict(provenance)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)


def provenance(path: Path) -> dict[str, Any]:
    """What `save_encoder` was told about how the networks of a file were trained."""
    return json.loads(_open(path)[0].get("provenance", "{}"))


def _open(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise EncoderError(f"{path} is damaged, or no safetensors file: {error}") from None


def _read(path: Path, config: EncoderConfig, cameras: tuple[str, ...]) -> dict[str, CameraNetwork]:
    metadata, tensors = _open(path)
    resnet = config.kind == "resnet10"
    for key, value in (
        ("format", FORMAT),
        ("network", "resnet10" if resnet else "keypoints"),
        ("pooling", config.pooling if resnet else ""),
        ("features", str(FEATURES)),
        ("image", str(IMAGE)),
    ):
        if metadata.get(key, "") != value:
            raise EncoderError(
                f"{path} is no encoder for kind {config.kind!r}: its {key} is {metadata.get(key, '')!r}, "
                f"expected {value!r}"
            )
    owners = sorted({name.split(".", 1)[0] for name in tensors} - {_SHARED})
    for camera in cameras:
        if camera not in owners:
            raise EncoderError(f"{path} has no network for the camera {camera!r}: {nearest(camera, owners)}")
    return {camera: _fill(path, config, camera, tensors, metadata) for camera in cameras}


def _fill(
    path: Path, config: EncoderConfig, camera: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> CameraNetwork:
    """The network of `camera` with its tensors: those named after it, and those that cameras share."""
    labels, near = (), 0
    if config.kind != "resnet10":
        try:
            labels = tuple(str(name) for name in json.loads(metadata["labels"])[camera])
            near = int(json.loads(metadata["near"])[camera])
        except (KeyError, ValueError, TypeError) as error:
            raise EncoderError(f"{path}: its metadata names no labels of {camera}: {error!r}") from None
    own = {
        name.split(".", 1)[1]: tensor
        for prefix in (_SHARED, camera)
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.")
    }
    network = _network(config, (len(labels), near), None)
    statistics = {}
    for name in ("mean", "deviation"):
        value = own.pop(name, None)
        if value is None or value.shape != (FEATURES,) or not bool(torch.isfinite(value).all()):
            raise EncoderError(f"{path}: {camera}.{name} must be {FEATURES} finite numbers")
        statistics[name] = value.float()
    if not bool((statistics["deviation"] > 0.0).all()):
        raise EncoderError(f"{path}: {camera}.deviation must be more than 0 everywhere")
    if not all(bool(torch.isfinite(value).all()) for value in own.values()):
        raise EncoderError(f"{path}: the weights of {camera} are not finite")
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise EncoderError(f"{path}: the weights of {camera} do not fit: {error}") from None
    return CameraNetwork(_ready(network), **statistics, labels=labels, near=near)


def _random_networks(config: EncoderConfig, cameras: tuple[str, ...]) -> dict[str, CameraNetwork]:
    """The same fixed random network for each camera, with statistics of drawn pictures of no scene."""
    network = _ready(_network(config, RANDOM_HEAD, config.seed))
    with torch.inference_mode():
        features = network.features(as_input(torch.from_numpy(_drawn_pictures(config.seed))))
    part = CameraNetwork(network, features.mean(0), features.std(0).clamp_min(1e-3))
    return dict.fromkeys(cameras, part)


def _network(
    config: EncoderConfig, head: tuple[int, int], seed: int | None
) -> KeypointNetwork | ResNetEncoder:
    if config.kind == "resnet10":
        network: KeypointNetwork | ResNetEncoder = ResNetEncoder(ResNet10(), config.pooling)
    else:
        network = KeypointNetwork(*head)
    if seed is not None:
        randomise(network, seed)
    return network


def _ready(network: KeypointNetwork | ResNetEncoder) -> KeypointNetwork | ResNetEncoder:
    network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _drawn_pictures(seed: int) -> np.ndarray:
    """(64, 128, 128, 3) uint8: a colour gradient and 6 rectangles each; enough for means and deviations."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.0, 1.0, IMAGE)[None, :, None, None]
    corners = rng.uniform(0.0, 255.0, (2, _STATISTICS_PICTURES, 1, 1, 3))
    pictures = np.broadcast_to(
        corners[0] + (corners[1] - corners[0]) * ramp, (_STATISTICS_PICTURES, IMAGE, IMAGE, 3)
    ).copy()
    for picture in pictures:
        for _ in range(6):
            row, column = rng.integers(0, IMAGE - 8, 2)
            height, width = rng.integers(8, IMAGE // 2, 2)
            picture[row : row + height, column : column + width] = rng.uniform(0.0, 255.0, 3)
    return pictures.astype(np.uint8)
