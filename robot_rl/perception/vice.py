"""VICE: a reward classifier that goes on learning while the policy practises.

A classifier that was trained once can be fooled: the policy finds what looks like success to it and is not.
Variational inverse control with events (Fu et al. 2018, arXiv:1805.11686) takes every frame of the policy as
a failure, and the person's frames of success as successes, so that whatever the policy exploits becomes a
counterexample. When the policy truly succeeds, its frames and hers cannot be told apart, and the probability
of both goes to one half; hence the threshold of 0.5.

As in SERL (Luo et al. 2024, arXiv:2401.16013) the loss is binary cross-entropy with label smoothing e on
mixtures of two frames and their labels (Zhang et al. 2018, mixup),

    f = l f_i + (1 - l) f_j,    y = l y_i + (1 - l) y_j,    l ~ Beta(a, a),    y_i in {e / 2, 1 - e / 2},

plus a penalty on the slope of the logit D (Gulrajani et al. 2017): c mean (|dD/df| - 1)^2.

What it has learned is saved after every update, so that an evaluation judges as the training did last, and a
process that was started again goes on. The policy's frames are not saved: it goes on with those that follow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from robot_rl.core.errors import ClassifierError
from robot_rl.core.types import CameraFeatures
from robot_rl.perception.classifier import INDEX, RewardClassifier
from robot_rl.perception.classifier_fit import logits
from robot_rl.perception.settings import ViceConfig

FOLDER = "vice"
"""Folder in a classifier's directory for what VICE has made of it."""


class Vice:
    """A `RewardModel` that learns: `__call__` judges and remembers, `end_episode` trains.

    It begins as a copy of a trained classifier, which stays as it is, or with what was saved of its own.
    """

    def __init__(
        self,
        classifier: RewardClassifier,
        config: ViceConfig | None = None,
        positives: np.ndarray | None = None,
        directory: Path | None = None,
    ) -> None:
        """Go on from a classifier.

        Args:
            classifier: Of one stage.
            config: How to learn.
            positives: (n, D) features of success; by default those that the classifier was saved with.
            directory: To save into after each update at an episode's end, and to go on from what is there,
                if that was learned from this very classifier; None saves nothing.

        Raises:
            ClassifierError: The classifier has several stages or no positives, or `directory` is damaged.
        """
        torch.set_num_threads(1)  # more are slower for networks as small as these
        self.config = config or ViceConfig()
        if classifier.stages != 1:
            raise ClassifierError(
                f"VICE tells success from the policy's frames, but this classifier has {classifier.stages} "
                "stages: train one of one stage (robot-rl train-classifier --stages 1)"
            )
        goals = classifier.positives if positives is None else positives
        if not len(goals):
            raise ClassifierError("VICE needs frames of success, and this classifier was saved without any")
        self.directory = directory
        facts = dataclasses.replace(classifier.facts, threshold=self.config.threshold)
        start = RewardClassifier(classifier.weights, facts, goals.astype(np.float16))
        self.classifier = start if directory is None else _saved(directory, start)
        """The present one; `save` writes it like any other."""
        self._goals = torch.from_numpy(goals.astype(np.float32))
        self._seen = np.zeros((self.config.capacity, goals.shape[1]), np.float16)
        self._count = 0
        self._episode: list[np.ndarray] = []
        self._episodes = 0
        self._random = torch.Generator().manual_seed(self.config.seed)
        self._rng = np.random.default_rng(self.config.seed)
        self._parameters = {
            name: torch.from_numpy(value.copy()).requires_grad_()
            for name, value in self.classifier.weights.items()
        }
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=self.config.learning_rate)

    @property
    def encoder(self) -> str:
        return self.classifier.encoder

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.classifier.cameras

    @property
    def stages(self) -> int:
        return self.classifier.stages

    @property
    def threshold(self) -> float:
        return self.classifier.threshold

    @property
    def frames(self) -> int:
        """Frames of the policy that it learns against."""
        return min(self._count, self.config.capacity)

    def __call__(self, features: Mapping[str, CameraFeatures]) -> tuple[float, ...]:
        joined = self.classifier.join(features)
        self._episode.append(joined)
        return tuple(self.classifier.probabilities(joined[None])[0].tolist())

    def end_episode(self, learn: bool) -> None:
        """The episode is over: learn from the frames that were judged since the last call.

        Args:
            learn: False forgets them, as is right for all episodes but the policy's practice.
        """
        frames, self._episode = self._episode, []
        if not learn or not frames:
            return
        self.add(np.stack(frames))
        self._episodes += 1
        if self._episodes % self.config.every == 0:
            self.update(self.config.steps)
            if self.directory is not None:
                self.classifier.save(self.directory)

    def add(self, frames: np.ndarray) -> None:
        """Take (n, D) frames of the policy as failures, in place of the oldest ones when there is no room."""
        frames = frames[-self.config.capacity :]
        self._seen[(self._count + np.arange(len(frames))) % self.config.capacity] = frames
        self._count += len(frames)

    def update(self, steps: int) -> float:
        """Train for so many gradient steps; the mean loss, 0 before the first frame."""
        if not self.frames:
            return 0.0
        total = 0.0
        for _ in range(steps):
            loss = self._loss()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            total += loss.item()
        weights = {name: p.detach().numpy().copy() for name, p in self._parameters.items()}
        self.classifier = RewardClassifier(weights, self.classifier.facts, self.classifier.positives)
        return total / max(steps, 1)

    def _loss(self) -> torch.Tensor:
        frames, labels = self._mixed()
        frames.requires_grad_()
        members = self._parameters["w1"].shape[0]
        value = logits(self._parameters, frames.expand(members, -1, -1))[..., 0]
        loss = binary_cross_entropy_with_logits(value, labels.expand(members, -1))
        if not self.config.gradient_penalty:
            return loss
        # Frames do not meet in the network, so the gradient of the sum holds each frame's own; the members'
        # mean logit stands for all of them.
        (slope,) = torch.autograd.grad(value.mean(dim=0).sum(), frames, create_graph=True)
        penalty = (slope.norm(dim=-1) - 1.0).square().mean()
        return loss + self.config.gradient_penalty * penalty

    def _mixed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, D) frames, half of them of success before mixing, and their (n,) labels."""
        half = max(self.config.batch // 2, 1)
        goals = self._goals[torch.randint(len(self._goals), (half,), generator=self._random)]
        seen = self._seen[self._rng.integers(self.frames, size=half)]
        frames = torch.cat([goals, torch.from_numpy(seen.astype(np.float32))])
        labels = torch.cat([torch.ones(half), torch.zeros(half)])
        labels = labels * (1.0 - self.config.smoothing) + 0.5 * self.config.smoothing
        if self.config.mixup:
            share = self._rng.beta(self.config.mixup, self.config.mixup, size=2 * half)
            weight = torch.from_numpy(share.astype(np.float32))
            other = torch.randperm(2 * half, generator=self._random)
            frames = weight[:, None] * frames + (1.0 - weight[:, None]) * frames[other]
            labels = weight * labels + (1.0 - weight) * labels[other]
        return frames, labels


def _saved(directory: Path, start: RewardClassifier) -> RewardClassifier:
    """What `directory` holds of a VICE that began like `start`; `start` itself where there is no such thing.

    So a classifier that was trained anew begins anew here too.
    """
    if not (directory / INDEX).exists():
        return start
    try:
        saved = RewardClassifier.load(directory)
    except ClassifierError as error:
        raise ClassifierError(
            f"{error}. VICE had saved it; remove {directory} to begin again with the classifier beside it"
        ) from None
    return saved if saved.facts == start.facts and np.array_equal(saved.positives, start.positives) else start
