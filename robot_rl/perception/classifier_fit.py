"""Fits the networks of a reward classifier to features and targets."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from robot_rl.perception.classifier import Weights
from robot_rl.perception.key_labels import UNLABELLED
from robot_rl.perception.settings import ClassifierTraining


def fit(features: np.ndarray, targets: np.ndarray, config: ClassifierTraining, seed: int) -> Weights:
    """Train an ensemble with binary cross-entropy, smoothed targets, and one weight a class.

    Of every stage, all frames that have not reached it weigh `config.negatives` times what all that have
    weigh, however many there are of either. Each member draws frames, views and hidden features of its own.

    Args:
        features: (N, 1 + K, D) of whole frames and crops.
        targets: (N, stages) int8: 1, 0, or -1 for unknown, which is not learned from.
        config: How.
        seed: Of weights and draws.
    """
    torch.set_num_threads(1)  # more are slower for networks as small as these
    known = (targets != UNLABELLED).any(axis=1)
    x = torch.from_numpy(features[known].astype(np.float32))
    y = torch.from_numpy(np.ascontiguousarray(targets[known]))
    weight = class_weights(y, config.negatives)
    smoothed = y.clamp(min=0).float() * (1.0 - 2.0 * config.smoothing) + config.smoothing

    random = torch.Generator().manual_seed(seed)
    parameters = initial_weights(config.members, x.shape[2], config.hidden, y.shape[1], random)
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    draws = (config.members, min(config.batch, len(x)))
    for _ in range(config.steps):
        frame = torch.randint(len(x), draws, generator=random)
        view = torch.randint(x.shape[1], draws, generator=random)
        batch = hide(x[frame, view], config.dropout, random)
        loss = binary_cross_entropy_with_logits(logits(parameters, batch), smoothed[frame], weight[frame])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: p.detach().numpy().copy() for name, p in parameters.items()}


def initial_weights(
    members: int, size: int, hidden: int, stages: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Weights as `RewardClassifier` takes them: He's for the hidden layer, small ones for the logits."""
    w1 = torch.randn(members, size, hidden, generator=random) * (2.0 / size) ** 0.5
    w2 = torch.randn(members, hidden, stages, generator=random) * hidden**-0.5
    biases = {"b1": torch.zeros(members, hidden), "b2": torch.zeros(members, stages)}
    return {n: p.requires_grad_() for n, p in ({"w1": w1, "w2": w2} | biases).items()}


def logits(parameters: dict[str, torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
    """(members, n, stages) of (members, n, D)."""
    hidden = torch.relu(torch.baddbmm(parameters["b1"][:, None], batch, parameters["w1"]))
    return torch.baddbmm(parameters["b2"][:, None], hidden, parameters["w2"])


def class_weights(targets: torch.Tensor, negatives: float) -> torch.Tensor:
    """(N, stages): per-frame weights with a mean of 1; 0 where the target is unknown."""
    weight = torch.zeros(targets.shape)
    for value, share in ((1, 1.0), (0, negatives)):
        members = targets == value
        weight += members * share / members.sum(dim=0).clamp(min=1)
    return weight * len(targets) / (1.0 + negatives)


def hide(batch: torch.Tensor, share: float, random: torch.Generator) -> torch.Tensor:
    """Dropout of features, scaled so that the mean stays."""
    kept = torch.rand(batch.shape, generator=random) >= share
    return batch * kept / (1.0 - share)
