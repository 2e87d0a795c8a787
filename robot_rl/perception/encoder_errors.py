"""How well an encoder sees: errors on held-out pictures, with the default look and with changed ones.

The head's own predictions are measured, and those of a linear probe on the features, which also encoders
without a head have. The probe is ridge regression on pictures as in training.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from robot_rl.perception.dataset import DatasetConfig, Pictures, Studio
from robot_rl.perception.encoder import CameraNetwork, as_input, load_encoder
from robot_rl.perception.networks import KeypointNetwork
from robot_rl.perception.pose_labels import LABELS, SCALE
from robot_rl.perception.settings import EncoderConfig

LOOKS = {"default": (0.0, 0), "strength 0.3": (0.3, 0), "strength 1, 2 distractors": (1.0, 2)}
"""Strength of each look, and things that stand around."""
NEAR = 0.03
"""A cube is near when it is this close sideways to a point so far below the TCP, and in height; a hole, when
it is to the tip of the peg [m]."""

Errors = dict[str, dict[str, float]]
"""Quantity to its "median" and "p90", or "mean", and the "count" of pictures where it is known."""

_PROBE_PICTURES = 4000
_RIDGE = 1e-3


def evaluate(file: Path, count: int, seed: int, studio: Studio) -> dict[str, dict[str, dict[str, Errors]]]:
    """Errors by method, look and camera, on `count` pictures for each look; their seeds are even."""
    config = DatasetConfig()
    trained = load_encoder(EncoderConfig(file=str(file))).networks
    random = load_encoder(EncoderConfig(kind="random")).networks
    probed = studio.draw(_PROBE_PICTURES, 2 * (1000 * seed + 500), config)
    probes = {
        name: {
            camera: _fit(_features(nets[camera], probed.images[camera]), probed.labels[camera])
            for camera in nets
        }
        for name, nets in (("probe", trained), ("random probe", random))
    }
    table: dict[str, dict[str, dict[str, Errors]]] = {"head": {}, "probe": {}, "random probe": {}}
    for number, (look, (strength, things)) in enumerate(LOOKS.items()):
        pictures = studio.draw(count, 2 * (1000 * seed + number), config, strength, things)
        for method, nets in (("head", trained), ("probe", trained), ("random probe", random)):
            table[method][look] = {}
            for camera, part in nets.items():
                if method == "head":
                    predicted = head(part, pictures.images[camera])
                else:
                    predicted = _with_one(_features(part, pictures.images[camera])) @ probes[method][camera]
                table[method][look][camera] = errors(camera, predicted, pictures, studio.scenes[1].peg_length)
    return table


def head(part: CameraNetwork, images: np.ndarray) -> np.ndarray:
    """(n, l) predictions of the network's head, in the units of its labels."""
    if not isinstance(part.network, KeypointNetwork):
        raise TypeError("only keypoint networks have a head")
    with torch.inference_mode():
        return np.concatenate([part.network(as_input(p))[1] for p in torch.from_numpy(images).split(250)])


def errors(camera: str, predicted: np.ndarray, pictures: Pictures, peg_length: float) -> Errors:
    """Errors of (n, l) predictions of a camera's labels: positions [mm], yaw [degrees]."""
    labels, names = pictures.labels[camera], LABELS[camera]
    row = {name: i for i, name in enumerate(names)}
    wrong = predicted - labels

    def distance(*of: str) -> np.ndarray:
        return 1000.0 * SCALE * np.linalg.norm(wrong[:, [row[name] for name in of]], axis=1)

    def yaw(thing: str) -> np.ndarray:
        cos, sin = row[f"{thing}.cos"], row[f"{thing}.sin"]
        turned = np.arctan2(predicted[:, sin], predicted[:, cos]) - np.arctan2(labels[:, sin], labels[:, cos])
        return np.degrees(np.abs((turned + math.pi) % (2.0 * math.pi) - math.pi)) / 4.0

    found: dict[str, np.ndarray] = {}
    if camera == "side":
        for thing in ("cube", "tcp", "hole", "way"):
            found[f"{thing} mm"] = distance(*(f"{thing}.{axis}" for axis in "xyz"))
    else:
        for thing, z in (("cube", NEAR), ("hole", peg_length)):
            x, y, height = (labels[:, row[f"{thing}.{axis}"]] * SCALE for axis in "xyz")
            near = (np.hypot(x, y) < NEAR) & (np.abs(height - z) <= NEAR)
            for where, chosen in (("", np.isfinite(x)), ("near ", near)):
                found[f"{where}{thing} xy mm"] = distance(f"{thing}.x", f"{thing}.y")[chosen]
                found[f"{where}{thing} z mm"] = distance(f"{thing}.z")[chosen]
                found[f"{where}{thing} yaw degrees"] = yaw(thing)[chosen]
    for thing in ("cube", "hole"):
        told = predicted[:, row[f"{thing}.seen"]] > 0.5
        found[f"{thing} seen wrong %"] = 100.0 * (told != (labels[:, row[f"{thing}.seen"]] > 0.5))
    known = {name: values[np.isfinite(values)] for name, values in found.items()}
    return {name: _summary(name, values) for name, values in known.items() if len(values)}


def _summary(name: str, values: np.ndarray) -> dict[str, float]:
    if name.endswith("%"):
        return {"mean": round(float(values.mean()), 2), "count": len(values)}
    median, p90 = np.percentile(values, [50.0, 90.0])
    return {"median": round(float(median), 2), "p90": round(float(p90), 2), "count": len(values)}


def _features(part: CameraNetwork, images: np.ndarray) -> np.ndarray:
    return np.concatenate([part(images[i : i + 250]) for i in range(0, len(images), 250)]).astype(np.float32)


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1)


def _fit(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(d + 1, l) ridge regression, for each label on the pictures where it is known."""
    weights = np.zeros((features.shape[1] + 1, labels.shape[1]), np.float32)
    for i, label in enumerate(labels.T):
        known = np.isfinite(label)
        inputs = _with_one(features[known])
        gram = inputs.T @ inputs + _RIDGE * known.sum() * np.eye(inputs.shape[1], dtype=np.float32)
        weights[:, i] = np.linalg.solve(gram, inputs.T @ label[known])
    return weights
