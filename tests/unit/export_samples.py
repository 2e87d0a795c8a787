"""Small recorded data sets for the tests of other formats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import (
    ArmState,
    Episode,
    EpisodeResult,
    Mode,
    Pose,
    Sight,
    Source,
    StampedImage,
    TeleopCommand,
)
from robot_rl.data.dataset import Dataset
from robot_rl.data.recorder import EpisodeRecorder
from tests.unit.data_samples import random_arrays, transition

EPISODES = ((Mode.DEMO, True, 3), (Mode.TRAIN, False, 4), (Mode.DEMO, True, 1))
"""Mode, success and steps of each."""


def record_run(
    run: Path,
    spec: EnvSpec,
    first: Mapping[str, np.ndarray] | None = None,
    reward: float | None = None,
    cameras: Mapping[str, tuple[int, int]] | None = None,
    camera_rate: float = 1.0,
) -> Dataset:
    """Record `EPISODES`, in which each next observation is the one of the next step.

    Args:
        run: Where to.
        spec: Of the observations.
        first: Arrays of the very first observation, in place of random ones.
        reward: Of the very first step.
        cameras: Height and width of the pictures of each camera.
        camera_rate: Pictures a tick.
    """
    rng = np.random.default_rng(1)
    period = nanoseconds(1.0 / spec.control_rate)
    sequence = 0
    with EpisodeRecorder(run / "episodes", spec) as recorder:
        for index, (mode, success, steps) in enumerate(EPISODES):
            episode = Episode(index, 100 + index, mode)
            recorder.begin(episode)
            start = 1_000_000_000 * (index + 1)
            ticks = [start + step * period for step in range(steps + 1)]
            count = int(steps * camera_rate) + 1
            exposures = [start + round(i * period / camera_rate) for i in range(count)]
            observation = random_arrays(spec.observation, rng) | dict(first or {})
            images: dict[str, StampedImage] = {}
            first = None
            for stamp in sorted({*ticks, *exposures}):
                if stamp in exposures:
                    sizes = (cameras or {}).items()
                    images = {name: StampedImage(stamp, scene(rng, *size)) for name, size in sizes}
                last = stamp == ticks[-1]
                _see(recorder, stamp, images, int(last and success))
                if stamp not in ticks[1:]:
                    continue
                following = random_arrays(spec.observation, rng)
                changes: dict[str, Any] = {"reward": reward} if reward is not None else {}
                reward = None
                recorder.transition(
                    transition(
                        spec,
                        sequence,
                        episode=index,
                        step=ticks.index(stamp) - 1,
                        observation=observation,
                        next_observation=following,
                        terminated=last and success,
                        truncated=last and not success,
                        source=Source.DEMO if mode is Mode.DEMO else Source.POLICY,
                        stamp=stamp,
                        **changes,
                    )
                )
                sequence += 1
                observation = following
            recorder.end(EpisodeResult(episode, steps, success, 0.1 * index, 0, 0, 1, peak_force=1.5))
    return Dataset.open(run)


def scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8: soft colours as a camera has them, with a hard-edged block somewhere."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 9 + rng.random()), np.cos(y / 7 + rng.random()), np.sin((x + y) / 11)], -1)
    image = (127 + 100 * waves).astype(np.uint8)
    row, column = int(rng.integers(0, height // 2)), int(rng.integers(0, width // 2))
    image[row : row + height // 4, column : column + width // 4] = rng.integers(0, 255, 3)
    return image


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures [dB]."""
    return float(10 * np.log10(255.0**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


def _see(recorder: EpisodeRecorder, stamp: int, images: Mapping[str, StampedImage], label: int) -> None:
    pose = Pose(np.array([0.4, 0.0, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
    zeros = np.zeros(6)
    state = ArmState(stamp, np.arange(7.0), np.zeros(7), pose, zeros, zeros, 0.08, False, pose)
    person = TeleopCommand(stamp, True, zeros, label=label, who="script")
    recorder.state(state, {}, Sight(images=images) if images else None, person)
