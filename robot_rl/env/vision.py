"""Cameras, encoder and reward classifier in this process, as the one sense that an environment asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robot_rl.core.protocols import Encoder, RewardModel, Vision
from robot_rl.core.types import ArmState, Episode, Intrinsics, Mode, Sight, StampedImage, StampedPose

Pictures = Callable[[ArmState], Mapping[str, StampedImage]]
"""Gives the newest picture of each camera at the tick of a state."""


class LocalVision:
    """Implements `Vision` of `robot_rl.core.protocols` on pictures of this process.

    Each picture is encoded once, when it is looked at; policy, classifier and replay share the features.
    """

    def __init__(
        self,
        pictures: Pictures,
        encoder: Encoder,
        classifier: RewardModel | None = None,
        on_reset: Callable[[Episode], None] = lambda _: None,
        on_close: Callable[[], None] = lambda: None,
        intrinsics: Mapping[str, Intrinsics] | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            pictures: The cameras.
            encoder: Turns pictures into features.
            classifier: Judges the features; None where the reward comes from elsewhere.
            on_reset: Called at the begin of every episode, such as to change the look of a simulated scene.
            on_close: Releases the cameras.
            intrinsics: Of each camera, where they are known.
        """
        self.pictures = pictures
        self.encoder = encoder
        self.classifier = classifier
        self.intrinsics = dict(intrinsics or {})
        self._on_reset = on_reset
        self._on_close = on_close
        self._practised = False

    def reset(self, episode: Episode) -> None:
        if self.classifier is not None:
            self.classifier.end_episode(self._practised)
        self._practised = episode.mode is Mode.TRAIN
        self._on_reset(episode)

    def look(self, state: ArmState) -> Sight:
        images = self.pictures(state)
        features = self.encoder.encode(images)
        stages = self.classifier(features) if self.classifier is not None else ()
        return Sight(features, stages, images)

    def close(self) -> None:
        self._on_close()


def intrinsics_of(vision: Vision | None) -> Mapping[str, Intrinsics]:
    """Of the cameras of this process, for its logs; none where they are behind topics."""
    return vision.intrinsics if isinstance(vision, LocalVision) else {}


class NoTracker:
    """The `Tracker` of a robot that tracks nothing: what it knows of the scene it sees."""

    def read(self) -> Mapping[str, StampedPose]:
        return {}
