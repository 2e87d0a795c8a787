"""Pretrain the encoder that the project ships, and measure it.

Each camera's network learns to tell where object and hand are (`robot_rl.perception.pose_labels`) from own
renders with randomised looks. In every round new pictures are drawn, and each network goes a few times
through them, with some pictures shifted at random and labels unchanged, as the crops of replay are.

Pictures differ in how much they tell: a mount that is off, a hand out of view. So the network learns with
each prediction p of a label y how far off it expects to be, b, as Kendall and Gal ("What Uncertainties Do We
Need in Bayesian Deep Learning for Computer Vision?", NeurIPS 2017) with Laplace's distribution:

    loss = |p - y| / b + ln b + 6 h(tanh 10 p - tanh 10 y)

The last term, h being Huber's loss with its corner at 0.05, is for labels relative to the hand alone: what
counts is the error in the features as they are handed on, where millimetres near the hand are large. What
predicts b is not kept.

    python -m robot_rl.perception.pretrain --out FILE --result RESULT.json
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from robot_rl.core.errors import EncoderError
from robot_rl.perception.dataset import DatasetConfig, Studio
from robot_rl.perception.encoder import (
    CameraNetwork,
    as_input,
    load_encoder,
    provenance,
    save_encoder,
    shifted,
)
from robot_rl.perception.encoder_errors import evaluate
from robot_rl.perception.networks import NEAR_GAIN, KeypointNetwork, randomise
from robot_rl.perception.pose_labels import LABELS, NEAR, scales
from robot_rl.perception.settings import IMAGE, EncoderConfig

_SPREAD = (-5.0, 2.0)
"""Smallest and largest ln b: 0.7 mm and 0.7 m for a position."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainConfig:
    """How the networks are trained."""

    out: Path
    """The file to write."""
    start: Path | None = None
    """An encoder to go on from; None starts with random weights."""
    result: Path | None = None
    """JSON file for recipe and held-out errors; None measures nothing."""
    rounds: int = 8
    """How often new pictures are drawn."""
    pictures: int = 20_000
    """Of each camera in a round; 2 GB of memory."""
    epochs: tuple[int, int] = (4, 6)
    """Passes of the wrist camera's and of the side camera's network through the pictures of a round."""
    shifted: tuple[float, float] = (0.5, 0.1)
    """Share of the pictures of either camera that are shifted. In the side camera's little stands still in
    the picture that tells a shift from a motion."""
    batch: int = 64
    """Pictures in a gradient step."""
    learning_rate: float = 2e-3
    """Highest of AdamW: it rises for 2 % of all steps, then falls to 0 along half a cosine."""
    weight_decay: float = 1e-3
    """Of AdamW."""
    shift: int = 4
    """Largest shift, either way [pixels]."""
    noise: float = 0.01
    """Standard deviation of the noise of a pixel; full scale is 1."""
    gain: float = 0.1
    """Standard deviation of the logarithm of a picture's brightness; half as much of each colour's."""
    test_pictures: int = 3_000
    """Held-out pictures for each look."""
    seed: int = 0
    """Seeds pictures, weights and batches."""
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    """What is drawn."""


def pretrain(config: PretrainConfig) -> None:
    """Train, write the file after every round, measure the last."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    began = time.process_time()
    studio = Studio()
    trainers = {camera: Trainer(camera, config) for camera in LABELS}
    for number in range(config.rounds):
        pictures = studio.draw(config.pictures, _seed(config, number), config.dataset)
        for camera, trainer in trainers.items():
            loss = trainer.train(pictures.images[camera], pictures.labels[camera])
            spent = time.process_time() - began
            logger.info("round %d, %s: loss %.4f, %.0f CPU-s", number, camera, loss, spent)
        networks = {c: t.finished(pictures.images[c]) for c, t in trainers.items()}
        save_encoder(config.out, networks, _provenance(config, time.process_time() - began))
    if config.result is not None:
        report = {
            "recipe": _provenance(config, time.process_time() - began),
            "encoder": EncoderConfig(file=str(config.out)).digest,
            "errors": evaluate(config.out, config.test_pictures, config.seed, studio),
        }
        config.result.parent.mkdir(parents=True, exist_ok=True)
        config.result.write_text(json.dumps(report, indent=2) + "\n")
    studio.close()


class Trainer:
    """One camera's network on its way."""

    def __init__(self, camera: str, config: PretrainConfig) -> None:
        self.camera = camera
        self._config = config
        self.network = _first_network(camera, config)
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.network.train().requires_grad_(True)
        self._spread = nn.Linear(self.network.head.in_features, len(LABELS[camera]))
        nn.init.zeros_(self._spread.weight)
        nn.init.constant_(self._spread.bias, -1.0)
        self._parameters = [*self.network.parameters(), *self._spread.parameters()]
        self._optimiser = torch.optim.AdamW(
            self._parameters, config.learning_rate, weight_decay=config.weight_decay
        )
        number = tuple(LABELS).index(camera)
        self._epochs = config.epochs[number]
        steps = config.rounds * self._epochs * (config.pictures // config.batch)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, config.learning_rate, steps, pct_start=0.02, cycle_momentum=False
        )
        self._augment = Augmenter(config, config.shifted[number])
        self._rng = np.random.default_rng((config.seed, 2))

    def train(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Go a few times through these pictures; gives the mean loss of the last pass."""
        config, total, steps = self._config, 0.0, len(images) // self._config.batch
        for _ in range(self._epochs):
            order, total = self._rng.permutation(len(images)), 0.0
            for rows in order[: steps * config.batch].reshape(steps, -1):
                pictures = self._augment(images[rows])
                with torch.autocast("cpu", torch.bfloat16):
                    hidden, predicted = self.network(pictures)
                spread = self._spread(F.relu(hidden))
                loss = loss_of(predicted, spread, torch.from_numpy(labels[rows]), NEAR[self.camera])
                self._optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
                self._optimiser.step()
                self._schedule.step()
                total += float(loss.detach())
        return total / steps

    def finished(self, images: np.ndarray) -> CameraNetwork:
        """The network with the statistics of its features on (up to 4,000 of) these pictures."""
        with torch.inference_mode():
            parts = [self.network.features(as_input(p)) for p in torch.from_numpy(images[:4000]).split(250)]
        features = torch.cat(parts)
        deviation = features.std(0).clamp_min(1e-3) / torch.from_numpy(scales(self.camera))
        return CameraNetwork(
            self.network, features.mean(0), deviation, LABELS[self.camera], NEAR[self.camera]
        )


def loss_of(predicted: Tensor, spread: Tensor, labels: Tensor, near: int) -> Tensor:
    """The loss of (n, l) predictions and their spreads ln b; labels that are NaN do not count."""
    known = torch.isfinite(labels)
    labels = labels.nan_to_num(0.0)
    spread = spread.clamp(*_SPREAD)
    # Round at the bottom, over a tenth of the smallest scale that matters.
    error = torch.sqrt((predicted - labels) ** 2 + 1e-6)
    likely = error * torch.exp(-spread) + spread
    told, right = (torch.tanh(NEAR_GAIN * values[:, :near]) for values in (predicted, labels))
    close = F.huber_loss(told, right, reduction="none", delta=0.05)
    return (likely * known).mean() + 6.0 * (close * known[:, :near]).mean()


class Augmenter:
    """Shifts a share of the pictures of a batch, and changes brightness, colours and every pixel of all."""

    def __init__(self, config: PretrainConfig, share: float) -> None:
        self._config = config
        self._share = share
        self._rng = np.random.default_rng((config.seed, 1))
        # Drawn once, and used from another place on each time: normal numbers are dear.
        size = (config.batch + 1) * IMAGE * IMAGE * 3
        self._noise = torch.from_numpy(self._rng.normal(0.0, config.noise, size).astype(np.float32))

    def __call__(self, pictures: np.ndarray) -> Tensor:
        """(n, 3, h, w) float32 of (n, h, w, 3) uint8 pictures, which are changed."""
        config, rng, count = self._config, self._rng, len(pictures)
        shifts = rng.integers(-config.shift, config.shift + 1, (count, 2))
        for i in np.flatnonzero(rng.random(count) < self._share):
            pictures[i] = shifted(pictures[i], shifts[i : i + 1], config.shift)[0]
        gains = rng.standard_normal((count, 1, 1, 1)) + 0.5 * rng.standard_normal((count, 1, 1, 3))
        factors = torch.from_numpy((np.exp(config.gain * gains) / 255.0).astype(np.float32))
        bright = torch.from_numpy(pictures).float().mul_(factors)
        start = int(rng.integers(IMAGE * IMAGE * 3))
        bright += self._noise[start : start + bright.numel()].view(bright.shape)
        return bright.clamp_(0.0, 1.0).permute(0, 3, 1, 2)


def _first_network(camera: str, config: PretrainConfig) -> KeypointNetwork:
    if config.start is None:
        network = KeypointNetwork(len(LABELS[camera]), NEAR[camera])
        randomise(network, config.seed)
        return network
    part = load_encoder(EncoderConfig(file=str(config.start))).networks[camera]
    if not isinstance(part.network, KeypointNetwork) or part.labels != LABELS[camera]:
        raise EncoderError(
            f"{config.start}: its {camera} network predicts {part.labels}, not {LABELS[camera]}"
        )
    return part.network


def _seed(config: PretrainConfig, number: int) -> int:
    """Of a round's pictures; those of tests are even."""
    return 2 * (1000 * config.seed + number) + 1


def _provenance(config: PretrainConfig, spent: float) -> dict[str, Any]:
    """The recipe, with that of the file that it began with."""
    recipe = {name: value for name, value in asdict(config).items() if name not in ("out", "result", "start")}
    recipe |= {"cpu_seconds": round(spent)}
    return recipe if config.start is None else recipe | {"began_with": provenance(config.start)}


def main() -> None:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pretrain(tyro.cli(PretrainConfig, description=__doc__))


if __name__ == "__main__":
    main()
