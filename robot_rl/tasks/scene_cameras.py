"""The simulated cameras of a task: stamped pictures, and another look of the scene for every episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robot_rl.core.types import ArmState, Episode, Intrinsics, Pose, StampedImage
from sim.arm.settings import SceneConfig

if TYPE_CHECKING:
    from sim.arm.cameras import TableCameras


class SceneCameras:
    """Draws what a task's cameras see, in the simulator's process or in any other."""

    def __init__(self, cameras: TableCameras, scene: SceneConfig, look: float, distractors: int) -> None:
        """Set up the scene.

        Args:
            cameras: Draw it.
            scene: Which one it is; distractors keep out of its objects' way.
            look: How far the look is redrawn for every episode, 1 being the range of the encoder's training.
            distractors: Objects that stand about and mean nothing.
        """
        self._cameras = cameras
        self._scene = scene
        self._look = look
        self._distractors = distractors

    @property
    def intrinsics(self) -> Mapping[str, Intrinsics]:
        """Of each camera."""
        return self._cameras.intrinsics

    def reset(self, episode: Episode, objects: Mapping[str, Pose]) -> None:
        """Begin an episode with the objects at these poses."""
        from sim.arm.looks import draw_look

        if self._look or self._distractors:
            look = draw_look(episode.seed, self._look, self._distractors, self._scene, objects)
            self._cameras.set_look(look)

    def pictures(self, state: ArmState, objects: Mapping[str, Pose]) -> dict[str, StampedImage]:
        """The picture of each camera at the instant of `state`."""
        images = self._cameras.render(state, objects)
        return {name: StampedImage(state.stamp, image) for name, image in images.items()}

    def close(self) -> None:
        """Release the renderer."""
        self._cameras.close()
