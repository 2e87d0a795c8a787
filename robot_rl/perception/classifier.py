"""The reward classifier at run time: probabilities of the stages of a task from image features.

Each member of a small ensemble is a network of one hidden layer on the features f of all cameras together:

    p_k = mean over members m of sigmoid(w2_mk . relu(W1_m f + b1_m) + b2_mk)

with one p_k for each stage k. NumPy alone, so that every host can judge; training is in
`robot_rl.perception.classifier_training`.

On disk it is a directory: `classifier.json` says what it is and names the sha256 of `weights.safetensors`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from robot_rl.core.errors import ClassifierError, EncoderError
from robot_rl.core.types import CameraFeatures

INDEX = "classifier.json"
WEIGHTS = "weights.safetensors"
FORMAT = 1

_POSITIVES = "positives"
"""Array in the file of the weights."""

Weights = dict[str, np.ndarray]
"""float32: "w1" (members, D, hidden), "b1" (members, hidden), "w2" (members, hidden, stages), "b2" (members,
stages)."""


@dataclass(frozen=True)
class ClassifierFacts:
    """What is known of a classifier beside its weights."""

    encoder: str
    """Digest of the encoder whose features it judges."""
    cameras: tuple[str, ...]
    """Their order in the features side by side."""
    stages: int
    """Stages of the task, the last one being success."""
    threshold: float
    """Probability from which a stage counts as seen, chosen for few false positives."""
    hold_ticks: int
    """Ticks in a row for which it must be seen, for which the threshold was chosen."""
    delay: int
    """How late the keys were [frames]; the labels were shifted back by it."""
    positives: tuple[int, ...]
    """Frames of each stage that it learned as reached."""
    negatives: tuple[int, ...]
    """Frames of each stage that it learned as not reached."""
    calibration: tuple[tuple[float, float, int], ...] = ()
    """Held-out reliability: mean probability, share that was reached, frames; one row a bin that is not
    empty."""


class RewardClassifier:
    """Implements `RewardModel` of `robot_rl.core.protocols`."""

    def __init__(self, weights: Weights, facts: ClassifierFacts, positives: np.ndarray | None = None) -> None:
        """Put a classifier together.

        Args:
            weights: Of the networks.
            facts: What is known of it.
            positives: (n, D) float16 features of success, for those who go on training it (`vice`).
        """
        self.weights = weights
        self.facts = facts
        size = weights["w1"].shape[1]
        self.positives = np.zeros((0, size), np.float16) if positives is None else positives
        w1, w2 = weights["w1"], weights["w2"]
        members, size, hidden = w1.shape
        # One product for all members, then one for each member's logits.
        self._w1 = np.ascontiguousarray(w1.transpose(1, 0, 2).reshape(size, members * hidden))
        self._b1 = weights["b1"].reshape(-1)
        self._w2, self._b2 = w2, weights["b2"]

    @property
    def encoder(self) -> str:
        """Digest of the encoder whose features it judges."""
        return self.facts.encoder

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.facts.cameras

    @property
    def stages(self) -> int:
        """Stages of the task, the last one being success."""
        return self.facts.stages

    @property
    def threshold(self) -> float:
        """Probability from which a stage counts as seen."""
        return self.facts.threshold

    def __call__(self, features: Mapping[str, CameraFeatures]) -> tuple[float, ...]:
        return tuple(self.probabilities(self.join(features)[None])[0].tolist())

    def end_episode(self, learn: bool) -> None:
        """It has learned all that it will."""

    def join(self, features: Mapping[str, CameraFeatures]) -> np.ndarray:
        """(D,) float16: the centre views side by side; `EncoderError` for those of another encoder."""
        for camera in self.cameras:
            if camera not in features:
                raise ClassifierError(
                    f"the classifier needs the features of camera {camera!r}, but got only those of: "
                    f"{', '.join(sorted(features)) or 'none'}"
                )
            if features[camera].encoder != self.encoder:
                raise EncoderError(
                    f"the classifier was trained on features of encoder {self.encoder}, but those of "
                    f"{camera!r} come from {features[camera].encoder}: use the same encoder, or train the "
                    "classifier again from the logs (robot-rl train-classifier)"
                )
        return np.concatenate([features[camera].centre for camera in self.cameras])

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(n, stages) float64 of (n, D) features, cameras side by side."""
        members, size, _ = self.weights["w1"].shape
        if features.shape[-1] != size:
            raise ClassifierError(f"the classifier takes {size} features, not {features.shape[-1]}")
        hidden = np.maximum(features.astype(np.float32) @ self._w1 + self._b1, 0.0)
        each = hidden.reshape(len(features), members, -1).transpose(1, 0, 2)
        logits = (each @ self._w2 + self._b2[:, None]).astype(np.float64)
        return (0.5 + 0.5 * np.tanh(0.5 * logits)).mean(axis=0)

    def save(self, directory: Path) -> None:
        """Write the classifier into a directory, over the one that is there."""
        directory.mkdir(parents=True, exist_ok=True)
        data = safetensors.numpy.save(self.weights | {_POSITIVES: self.positives})
        index = {"format": FORMAT, "sha256": hashlib.sha256(data).hexdigest(), **asdict(self.facts)}
        for name, content in ((WEIGHTS, data), (INDEX, (json.dumps(index, indent=2) + "\n").encode())):
            temporary = directory / f"{name}.tmp"
            temporary.write_bytes(content)
            temporary.replace(directory / name)

    @classmethod
    def load(cls, directory: Path, encoder: str | None = None) -> RewardClassifier:
        """Read what `save` wrote.

        Args:
            directory: Where it is.
            encoder: Digest of the encoder that it is to be used with; None: any.

        Raises:
            ClassifierError: It is missing or damaged.
            EncoderError: It was trained on the features of another encoder.
        """
        index = _read_index(directory)
        weights = _read_weights(directory / WEIGHTS, index.pop("sha256"))
        try:
            facts = _facts(index)
            classifier = cls(weights, facts, weights.pop(_POSITIVES))
            fits = weights["w2"].shape[2] == facts.stages and 0.0 < facts.threshold < 1.0
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ClassifierError(f"{directory} holds no complete classifier: {error!r}") from None
        if not fits:
            raise ClassifierError(f"{directory / INDEX} does not fit the weights beside it: it was altered")
        if encoder is not None and encoder != facts.encoder:
            raise EncoderError(
                f"the classifier in {directory} was trained on features of encoder {facts.encoder}, but "
                f"{encoder} is in use: use the same encoder, or train the classifier again from the logs "
                "(robot-rl train-classifier)"
            )
        return classifier


def _read_index(directory: Path) -> dict[str, Any]:
    path = directory / INDEX
    try:
        index = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ClassifierError(
            f"no classifier in {directory}: {INDEX} is missing. robot-rl train-classifier writes one"
        ) from None
    except (OSError, ValueError) as error:
        raise ClassifierError(f"{path} is damaged: {error}") from None
    found = index.pop("format", None) if isinstance(index, dict) else None
    if found != FORMAT:
        raise ClassifierError(f"{path} has format {found!r}; this version reads format {FORMAT}")
    expected = {field.name for field in fields(ClassifierFacts)} | {"sha256"}
    if set(index) != expected:
        raise ClassifierError(
            f"{path} is damaged: missing keys {sorted(expected - set(index))}, "
            f"unknown keys {sorted(set(index) - expected)}"
        )
    return index


def _read_weights(path: Path, digest: str) -> Weights:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise ClassifierError(f"{path} is damaged: its sha256 is not the one in {INDEX}")
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise ClassifierError(f"{path} is not a safetensors file: {error}") from None


def _facts(index: Mapping[str, Any]) -> ClassifierFacts:
    tables = {
        "cameras": tuple(index["cameras"]),
        "positives": tuple(index["positives"]),
        "negatives": tuple(index["negatives"]),
        "calibration": tuple((p, share, count) for p, share, count in index["calibration"]),
    }
    return ClassifierFacts(**(dict(index) | tables))
