"""A world of one number for the tests of labels and classifiers: how high a thing is held.

An encoder sees it, and where the thing is, through fixed random tanh units; pictures carry it in their
pixels. A person calls success above a height, some frames late and sometimes wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from robot_rl.core.types import (
    ArmState,
    CameraFeatures,
    Episode,
    EpisodeResult,
    Mode,
    Pose,
    Sight,
    StampedImage,
    TeleopCommand,
)
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.perception.key_labels import UNTOUCHED, LabelledEpisode
from tests.unit.data_samples import small_spec

CAMERAS = ("wrist", "side")
RATE = 10.0
TICK = round(1e9 / RATE)
BOUNDARY = 0.12
SIZE = 24


class ToyEncoder:
    """Two cameras of `SIZE` features each; crops differ from the whole by a little noise."""

    cameras: tuple[str, ...] = CAMERAS

    def __init__(self, crops: int = 0, digest: str = "toy-encoder-0001") -> None:
        self.digest = digest
        self.crops = crops
        rng = np.random.default_rng(7)
        self._weights = rng.normal(size=(4, len(CAMERAS) * SIZE)) * np.array([[12.0], [1.0], [1.0], [1.0]])
        self._bias = rng.normal(size=len(CAMERAS) * SIZE)
        self._rng = np.random.default_rng(8)

    def features(self, world: np.ndarray) -> np.ndarray:
        """(..., D) float16 of (..., 4): height, x, y, holding."""
        return (2.0 * np.tanh(world @ self._weights + self._bias)).astype(np.float16)

    def encode(self, images: Mapping[str, StampedImage]) -> dict[str, CameraFeatures]:
        out = {}
        for name, picture in images.items():
            world = picture.image[0, :4].astype(float).sum(axis=-1) / 300.0 - 1.0
            start = CAMERAS.index(name) * SIZE
            centre = self.features(world)[start : start + SIZE]
            noise = 0.05 * self._rng.normal(size=(self.crops, SIZE))
            out[name] = CameraFeatures(
                picture.stamp, centre, (centre + noise).astype(np.float16), self.digest
            )
        return out


def picture(world: np.ndarray) -> np.ndarray:
    """(8, 8, 3) uint8 that carries a world to within 1/300."""
    image = np.zeros((8, 8, 3), np.uint8)
    levels = np.round((np.asarray(world) + 1.0) * 300.0).astype(int)
    for i, level in enumerate(levels):
        third = level // 3
        image[0, i] = (third, third, level - 2 * third)
    return image


def drawing(world: np.ndarray, size: int = 128) -> np.ndarray:
    """(size, size, 3) uint8: a red square on grey that is as high up as the thing, for real encoders."""
    image = np.full((size, size, 3), 90, np.uint8)
    row = int(np.clip(100 - 400 * world[0], 0, size - 20))
    column = int(np.clip(60 + 40 * world[1], 0, size - 20))
    image[row : row + 20, column : column + 20] = (220, 30, 30)
    return image


def heights(rng: np.random.Generator, success: bool) -> np.ndarray:
    """(T, 4) world of one episode: up and down twice at several speeds, or too low."""
    path = [np.zeros(rng.integers(5, 15))]
    for _ in range(2):
        top = rng.uniform(0.16, 0.24) if success else rng.uniform(0.02, 0.08)
        bottom = rng.uniform(0.0, 0.25 * top)
        speed = rng.uniform(0.008, 0.025, 2)
        path.append(np.arange(path[-1][-1], top, speed[0]))
        path.append(np.full(rng.integers(8, 15), top))
        path.append(np.arange(top, bottom, -speed[1]))
    height = np.concatenate(path)
    x, y = rng.uniform(-0.3, 0.3, 2)
    holding = 1.0 if success else float(rng.random() < 0.3)
    columns = [height, np.full(len(height), x), np.full(len(height), y), np.full(len(height), holding)]
    return np.stack(columns, axis=1) + 0.002 * rng.normal(size=(len(height), 4))


def pressed(world: np.ndarray, delay: int, boundary: float = BOUNDARY) -> np.ndarray:
    """(T,) the key of a person who is `delay` frames late."""
    true = (world[:, 0] > boundary).astype(np.int64)
    return np.concatenate([np.zeros(delay, np.int64), true])[: len(true)]


def sample_episodes(
    count: int = 24, delay: int = 2, wrong: int = 4, seed: int = 0, two_stages: bool = False
) -> tuple[list[LabelledEpisode], list[np.ndarray]]:
    """Half successes, half failures, `wrong` of them with a press of 3 frames that means nothing.

    Returns the episodes and the true label of each of their frames.
    """
    rng = np.random.default_rng(seed)
    encoder = ToyEncoder()
    episodes, truths = [], []
    for index in range(count):
        world = heights(rng, success=index % 2 == 0)
        keys, truth = pressed(world, delay), pressed(world, 0)
        if two_stages:
            keys, truth = keys + pressed(world, delay, 0.09), truth + pressed(world, 0, 0.09)
        if index < wrong:
            start = int(rng.integers(3, len(keys) - 6))
            keys[start : start + 3] = 1 - np.minimum(keys[start], 1)
        stamps = TICK * np.arange(len(keys), dtype=np.int64)
        features = encoder.features(world)[:, None]
        untouched = np.full(len(keys), UNTOUCHED)
        episodes.append(
            LabelledEpisode(Path(f"{index:06d}.mcap"), index, RATE, stamps, keys, untouched, features)
        )
        truths.append(truth)
    return episodes, truths


def record_labels(
    run: Path,
    count: int = 8,
    delay: int = 2,
    seed: int = 1,
    mode: Mode = Mode.LABEL,
    draw: Callable[[np.ndarray], np.ndarray] = picture,
) -> None:
    """A run directory with label episodes: pictures and late keys."""
    rng = np.random.default_rng(seed)
    pose = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    with EpisodeRecorder(run / "episodes", small_spec(RATE)) as recorder:
        for index in range(count):
            world = heights(rng, success=index % 2 == 0)
            keys = pressed(world, delay)
            episode = Episode(index, index, mode)
            recorder.begin(episode)
            for t, (now, _) in enumerate(zip(world, keys, strict=True)):
                stamp = index * 1000 * TICK + t * TICK
                state = ArmState(
                    stamp, np.zeros(7), np.zeros(7), pose, np.zeros(6), np.zeros(6), 0.0, False, pose
                )
                images = {name: StampedImage(stamp, draw(now)) for name in CAMERAS}
                before = TeleopCommand(stamp - TICK, True, np.zeros(6), label=int(keys[t - 1]))
                recorder.state(state, {}, Sight(images=images), before if t else None)
            recorder.end(EpisodeResult(episode, len(world) - 1, index % 2 == 0, 0.0, 0, 0, 0))
