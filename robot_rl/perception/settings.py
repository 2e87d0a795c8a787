"""Settings of encoders and reward classifiers. No PyTorch here: every host reads them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from robot_rl.core.errors import ConfigError, EncoderError

EncoderKind = Literal["pretrained", "random", "resnet10", "trainable"]

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = WEIGHTS / "franka_table.safetensors"
"""The encoder that comes with the project: one network a camera, trained on its own randomised renders."""
FEATURES = 256
"""Features of one picture."""
IMAGE = 128
"""Side of the square pictures that encoders take [pixels]."""
ARCHITECTURE = 1
"""Part of every digest; changes whenever the same weights would give other features."""


@dataclass(frozen=True)
class EncoderConfig:
    """Which encoder, and how many crops of each frame it encodes beside the whole."""

    kind: EncoderKind = "pretrained"
    """"pretrained": the file's networks, which stay as they are. "random": the same networks with fixed
    random weights, the baseline. "resnet10": SERL's backbone, from a file or with fixed random weights.
    "trainable": the learner trains an encoder end to end, and replay holds pictures; for hosts with a GPU."""
    file: str = ""
    """Weights, a safetensors file; "" for the one that the project ships."""
    sha256: str = ""
    """Digest that the file must have; "" for any."""
    crops: int = 0
    """Randomly shifted crops of each frame that are encoded beside the whole, for replay (DrQ)."""
    shift: int = 4
    """Largest shift of a crop, either way [pixels]."""
    seed: int = 0
    """Seeds the weights of the kinds without a file, and the shifts."""

    def __post_init__(self) -> None:
        if self.crops < 0 or not 0 < self.shift < IMAGE // 4:
            raise ConfigError(
                f"encoder: crops must be 0 or more and shift in [1, {IMAGE // 4 - 1}], "
                f"not {self.crops} and {self.shift}"
            )

    @property
    def path(self) -> Path | None:
        """The file of the weights; None for random ones."""
        if self.file:
            return Path(self.file)
        return SHIPPED if self.kind == "pretrained" else None

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with everything that changes the features of a picture."""
        weights = f"seed {self.seed}" if self.path is None else file_digest(self.path)
        if self.sha256 and self.path is not None and weights != self.sha256:
            raise EncoderError(
                f"{self.path} has sha256 {weights}, but encoder.sha256 asks for {self.sha256}: it is "
                "damaged, or another file"
            )
        text = json.dumps([ARCHITECTURE, self.kind, FEATURES, IMAGE, weights])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """sha256 of a file of weights, in hexadecimal."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise EncoderError(f"the encoder's weights {path} cannot be read: {error.strerror}") from None
    return _digest(path, changed)


@lru_cache(maxsize=32)
def _digest(path: Path, changed: int) -> str:
    del changed  # part of the key, so that a file that was written again is read again
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class ClassifierConfig:
    """The reward classifier at run time."""

    directory: str = ""
    """What `robot-rl train-classifier` wrote; "": `robot-rl train` collects labels and trains one first."""
    threshold: float = 0.0
    """Probability above which a stage counts as reached; 0 takes the calibrated one of the classifier."""
    hold_time: float = 0.5
    """How long a stage's probability must stay above the threshold [s]."""
    label_episodes: int = 24
    """Episodes in which the person shows success and failure before the classifier is trained [episodes]."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold < 1.0 or self.hold_time < 0.0 or self.label_episodes < 0:
            raise ConfigError(
                "classifier: threshold must be in [0, 1), hold_time and label_episodes 0 or more, not "
                f"{self.threshold}, {self.hold_time} and {self.label_episodes}"
            )
