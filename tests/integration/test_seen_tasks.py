"""Tasks that are seen through cameras: what they refuse, and who tells them of success."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.cli import train
from robot_rl.cli.classifier_first import label_settings, record_labels
from robot_rl.cli.evaluate import settings_of
from robot_rl.core.clock import nanoseconds
from robot_rl.core.config import dump_yaml, replace
from robot_rl.core.errors import ConfigError, EncoderError, RobotRlError, SpecError, StaleStateError
from robot_rl.core.types import ArmState, CameraFeatures, Episode, Mode, Sight, StampedImage
from robot_rl.data import messages
from robot_rl.data.episode_log import read
from robot_rl.env.robot_env import RobotEnv
from robot_rl.env.stages import StageCounter
from robot_rl.env.task import Senses
from robot_rl.env.vision import LocalVision, NoTracker, Pictures
from robot_rl.perception.settings import FEATURES, EncoderConfig
from robot_rl.tasks import load
from robot_rl.tasks.arm import ArmTaskConfig
from robot_rl.tasks.pixels import PixelTask
from sim.arm.simulated_arm import SimulatedArm

PIXELS = "franka_pick_cube:pixels"
RANDOM = EncoderConfig(kind="random")


def config(**changes: Any) -> ArmTaskConfig:
    return replace(load(PIXELS), {"encoder.kind": "random", "reward": "person"} | changes)


@pytest.fixture(scope="module")
def arm() -> Iterator[SimulatedArm]:
    arm = config().make_arm()
    yield arm
    arm.close()


@pytest.fixture
def state(arm: SimulatedArm) -> ArmState:
    return arm.reset(Episode(0, 0, Mode.EVAL))


def sight(encoder: EncoderConfig = RANDOM, stages: tuple[float, ...] = (), **cameras: int) -> Sight:
    """Features of each camera with a stamp [ns]."""
    crops = np.zeros((0, FEATURES), np.float16)
    features = {
        name: CameraFeatures(stamp, np.zeros(FEATURES, np.float16), crops, encoder.digest)
        for name, stamp in cameras.items()
    }
    return Sight(features, stages)


def test_features_of_another_encoder_are_refused(state: ArmState) -> None:
    task, other = config().seen_task(()), EncoderConfig(kind="random", seed=1)
    task.observation_spec.validate(task.reset(state, Senses({}, sight(wrist=0, side=0))))
    with pytest.raises(EncoderError, match=f"from encoder {other.digest}.*set up for {RANDOM.digest}"):
        task.step(state, Senses({}, sight(other, wrist=0, side=0)))


def test_a_camera_that_is_not_there_is_named(state: ArmState) -> None:
    with pytest.raises(SpecError, match=r"needs camera 'side', but only \['wrist'\] were seen"):
        config().seen_task(()).reset(state, Senses({}, sight(wrist=0)))


def test_the_reward_needs_nothing_but_the_classifier(state: ArmState) -> None:
    parts = config()
    stages = StageCounter(1, 0.6, ticks=2)
    task = PixelTask(parts.task(), parts.proprioception(), parts.cameras, RANDOM, stages)
    task.reset(state, Senses({}, sight(wrist=0, side=0, stages=(0.9,))))
    seen = [task.step(state, Senses({}, sight(wrist=0, side=0, stages=(p,)))) for p in (0.9, 0.5, 0.9, 0.9)]
    assert [(one.reward, one.success) for one in seen] == [(0, False)] * 3 + [(1, True)]
    assert [float(one.observation["hold"][0]) for one in seen] == [0.5, 0, 0.5, 1]
    with pytest.raises(SpecError, match="does the reward classifier belong to this task"):
        task.reset(state, Senses({}, sight(wrist=0, side=0)))
        task.step(state, Senses({}, sight(wrist=0, side=0)))


@pytest.mark.parametrize("reward", ["classifier", "person"])
def test_poses_are_not_tracked_for_those_who_see(arm: SimulatedArm, tmp_path: Path, reward: str) -> None:
    (tmp_path / "classifier.json").write_text('{"threshold": 0.5, "stages": 1}')
    parts = config(reward=reward, **{"classifier.directory": str(tmp_path)})
    vision = LocalVision(lambda _: {}, parts.make_encoder())
    env = parts.make_env(arm, arm.tracker, None, vision)
    assert isinstance(env.tracker, NoTracker)


@pytest.mark.parametrize("kind", ["random", "trainable"])
def test_old_pictures_are_not_acted_on(arm: SimulatedArm, kind: str) -> None:
    """Neither their features, nor the pictures themselves."""
    parts = config(**{"encoder.kind": kind})
    behind = 0

    def pictures(state: ArmState) -> Mapping[str, StampedImage]:
        image = np.zeros((128, 128, 3), np.uint8)
        late = {"wrist": behind, "side": 0}
        return {name: StampedImage(state.stamp - late[name], image) for name in parts.cameras}

    vision = Raw(pictures) if kind == "trainable" else LocalVision(pictures, parts.make_encoder())
    env: RobotEnv = parts.make_env(arm, arm.tracker, None, vision)
    env.reset(Episode(0, 0, Mode.EVAL))
    behind = nanoseconds(0.4)
    env.step(np.zeros(env.spec.action.shape, np.float32))
    behind = nanoseconds(0.6)
    with pytest.raises(StaleStateError, match=r"the picture of 'wrist' is 0.60 s old \(at most 0.50 s\)"):
        env.step(np.zeros(env.spec.action.shape, np.float32))


class Raw:
    """A `Vision` without an encoder, as a graph has it whose learner trains its own."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def reset(self, episode: Episode) -> None:
        """Nothing remembers an episode."""

    def look(self, state: ArmState) -> Sight:
        return Sight(images=self._pictures(state))

    def close(self) -> None:
        """Nothing to release."""


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("franka_pick_cube", {"reward": "person"}, "reward 'person' is for tasks that are seen"),
        ("franka_pick_cube", {"reward": "classifier"}, "choose --obs pixels"),
        ("franka_pick_cube", {"look": 0.3}, "look and distractors change what cameras see"),
        (PIXELS, {"look": 1.5}, r"look must be in \[0, 1\]"),
        (PIXELS, {"distractors": 9}, "distractors 0 to 4"),
    ],
)
def test_senseless_settings_are_refused(task: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(load(task), changes)


def test_a_directory_with_a_run_gets_no_labels(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").touch()
    with pytest.raises(RobotRlError, match="already holds a run"):
        train.run(PIXELS, config(reward="classifier"), 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]


def test_a_run_that_was_moved_keeps_its_classifier(tmp_path: Path) -> None:
    parts = config(reward="classifier", **{"classifier.directory": "runs/here/classifier"})
    dump_yaml(parts, tmp_path / "config.yaml")
    found = settings_of(PIXELS, tmp_path / "policy", None)
    assert found.classifier.directory == "runs/here/classifier"
    (tmp_path / "classifier").mkdir()
    found = settings_of(PIXELS, tmp_path / "policy", None)
    assert found.classifier.directory == str(tmp_path / "classifier")


def test_logs_say_what_cameras_their_pictures_are_from(tmp_path: Path) -> None:
    parts = config(**{"goal.time_limit": 0.5, "classifier.label_episodes": 1})
    record_labels(label_settings(parts), 0, tmp_path, quiet=True)
    (log,) = tmp_path.glob("*.mcap")
    (info,) = [m for _, kind, _, m in read(log, {"side/camera_info"}) if kind == messages.CAMERA_INFO]
    f, centre = 64 / np.tan(np.radians(22.5 / 2)), 63.5
    np.testing.assert_allclose(info.k, [f, 0, centre, 0, f, centre, 0, 0, 1])
