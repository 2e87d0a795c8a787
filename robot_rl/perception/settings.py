"""Settings of encoders and reward classifiers. No PyTorch here: every host reads them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from robot_rl.core.errors import ClassifierError, ConfigError, EncoderError

EncoderKind = Literal["pretrained", "random", "resnet10", "trainable"]
Pooling = Literal["spatial", "average"]

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = WEIGHTS / "franka_table.safetensors"
"""The encoder that comes with the project: one network a camera, trained on its own randomised renders."""
SHIPPED_SHA256 = "3070135219b42880cfc0092d01b218aca02031e3cc24805264c22b2c9ccc950f"
"""Of that file."""
HOLD_TIME = 0.7
"""How long a probability must stay above its threshold to count [s]: a little longer than the tasks ask for,
since a frame too early must not end an episode that is not yet a success."""
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
    pooling: Pooling = "spatial"
    """How ResNet-10's last map becomes a vector: by SERL's spatial learned embeddings, or by its average."""
    crops: int = 0
    """Randomly shifted crops of each frame that are encoded beside the whole, for replay (DrQ); each has
    another shift, of which there are (2 shift + 1)^2."""
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
        if self.crops > (2 * self.shift + 1) ** 2:
            raise ConfigError(
                f"encoder: crops must be at most {(2 * self.shift + 1) ** 2}, the number of shifts of up to "
                f"{self.shift} pixels, not {self.crops}"
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
        wanted = self.sha256 or (SHIPPED_SHA256 if self.path == SHIPPED else "")
        if wanted and self.path is not None and weights != wanted:
            raise EncoderError(
                f"{self.path} has sha256 {weights}, but {wanted} is asked for: it is damaged, or another file"
            )
        pooling = self.pooling if self.kind == "resnet10" else ""
        text = json.dumps([ARCHITECTURE, self.kind, FEATURES, IMAGE, pooling, weights])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """sha256 of a file of weights, in hexadecimal."""
    try:
        return _digest(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise EncoderError(f"the encoder's weights {path} cannot be read: {error.strerror}") from None


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
    hold_time: float = HOLD_TIME
    """How long a stage's probability must stay above the threshold [s]."""
    label_episodes: int = 24
    """Episodes in which the person shows success and failure before the classifier is trained [episodes]."""
    vice: bool = False
    """Go on training the classifier while the policy practises, with the policy's frames as failures."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold < 1.0 or self.hold_time < 0.0 or self.label_episodes < 0:
            raise ConfigError(
                "classifier: threshold must be in [0, 1), hold_time and label_episodes 0 or more, not "
                f"{self.threshold}, {self.hold_time} and {self.label_episodes}"
            )


@dataclass(frozen=True)
class ClassifierTraining:
    """How a reward classifier is trained from labelled frames."""

    stages: int = 0
    """Stages of the task, the last one being success; 0: the highest that is labelled."""
    crops: int = 0
    """Randomly shifted crops of each frame that are encoded and learned from beside the whole. The shipped
    encoder was trained to ignore such shifts; others gain more."""
    hold_time: float = HOLD_TIME
    """How long a probability must stay above the threshold to count [s]; the threshold is chosen for it."""
    max_delay: int = 8
    """Longest delay of the key presses that is tried [frames]."""
    delay: int = -1
    """Delay of the key presses [frames]; -1 estimates it."""
    margin: int = 3
    """Frames that are dropped on either side of every change of the label [frames]."""
    suspicion: float = 0.9
    """A label is suspicious when the classifier, trained on other episodes, is this far from it."""
    longest_slip: int = 6
    """Longest run of frames that can be one wrong press of a key; what is longer was meant [frames]."""
    folds: int = 4
    """Groups of episodes, each held out once."""
    members: int = 3
    """Networks whose probabilities are averaged."""
    hidden: int = 64
    """Hidden units of each network."""
    steps: int = 400
    """Gradient steps."""
    batch: int = 256
    """Frames in a gradient step."""
    learning_rate: float = 2e-3
    """Of AdamW, falling to 0 along half a cosine."""
    weight_decay: float = 1e-2
    """Of AdamW."""
    dropout: float = 0.1
    """Share of the features that are hidden in a gradient step."""
    smoothing: float = 0.025
    """Targets are this far from 0 and 1."""
    negatives: float = 2.0
    """Weight of all frames that have not reached a stage, relative to all that have."""
    min_frames: int = 30
    """Fewest frames of either kind, for every stage."""
    seed: int = 0
    """Seeds weights, folds and batches."""

    def __post_init__(self) -> None:
        counts = {"stages": self.stages, "crops": self.crops, "max_delay": self.max_delay}
        counts |= {
            "longest_slip": self.longest_slip,
            "margin": self.margin,
            "hold_time": self.hold_time,
            "weight_decay": self.weight_decay,
        }
        _check({name: value >= 0 for name, value in counts.items()}, "0 or more", self)
        more = ("members", "hidden", "steps", "batch", "min_frames")
        _check({name: getattr(self, name) >= 1 for name in more}, "at least 1", self)
        _check({"folds": self.folds >= 2}, "at least 2", self)
        _check({n: getattr(self, n) > 0.0 for n in ("learning_rate", "negatives")}, "above 0", self)
        _check({"dropout": 0.0 <= self.dropout < 1.0}, "in [0, 1)", self)
        _check({"smoothing": 0.0 <= self.smoothing < 0.5}, "in [0, 0.5)", self)
        _check({"suspicion": 0.5 < self.suspicion <= 1.0}, "in (0.5, 1]", self)
        _check({"delay": -1 <= self.delay <= self.max_delay}, "-1 or in [0, max_delay]", self)


VICE_THRESHOLD = 0.5
"""Where frames of the person's success and of a perfect policy meet."""


@dataclass(frozen=True)
class ViceConfig:
    """How a classifier goes on learning against the policy's frames; the loss's values are SERL's."""

    every: int = 1
    """Train after every so many episodes of practice [episodes]."""
    steps: int = 20
    """Gradient steps each time."""
    batch: int = 128
    """Frames in a gradient step, half of them positive."""
    learning_rate: float = 3e-4
    """Of Adam."""
    mixup: float = 1.0
    """Parameter of the Beta distribution that frames and their labels are mixed with; 0 mixes nothing."""
    smoothing: float = 0.2
    """Label smoothing: targets are half of it away from 0 and 1."""
    gradient_penalty: float = 10.0
    """Weight of the penalty on the slope of the logit."""
    capacity: int = 20_000
    """Newest frames of the policy that are kept."""
    threshold: float = VICE_THRESHOLD
    """Probability from which a frame counts as success."""
    seed: int = 0
    """Seeds the batches."""

    def __post_init__(self) -> None:
        least = ("every", "steps", "batch", "capacity")
        _check({name: getattr(self, name) >= 1 for name in least}, "at least 1", self)
        _check({n: getattr(self, n) >= 0.0 for n in ("mixup", "gradient_penalty")}, "0 or more", self)
        _check({"learning_rate": self.learning_rate > 0.0}, "above 0", self)
        _check({"smoothing": 0.0 <= self.smoothing < 1.0}, "in [0, 1)", self)
        _check({"threshold": 0.0 < self.threshold < 1.0}, "in (0, 1)", self)


def _check(fits: dict[str, bool], valid: str, config: object) -> None:
    for name, good in fits.items():
        if not good:
            raise ConfigError(f"{name} must be {valid}, not {getattr(config, name)}")


def classifier_thresholds(directory: Path) -> tuple[float, ...]:
    """The calibrated threshold of the classifier in `directory`, once for each of its stages."""
    path = directory / "classifier.json"
    try:
        facts = json.loads(path.read_text())
        return (float(facts["threshold"]),) * int(facts["stages"])
    except FileNotFoundError:
        raise ClassifierError(f"{directory} holds no reward classifier: {path.name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClassifierError(f"{path} cannot be read: {error!r}") from None
