"""Runs on disk for the tests of data sets: what an arm with two cameras would log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import (
    ArmState,
    Episode,
    EpisodeResult,
    Intrinsics,
    Mode,
    Pose,
    Sight,
    Source,
    StampedImage,
    TeleopCommand,
    Transition,
)
from robot_rl.data.recorder import EpisodeRecorder
from tests.unit.data_samples import feature_spec, transition

TICK = 100_000_000
"""Control period of the specs of `data_samples` [ns]."""
SPEC = feature_spec()
CAMERAS = ("wrist", "side")
LENS = {camera: Intrinsics(6, 4, 5.0, 5.0, 2.5, 1.5) for camera in CAMERAS}


class Plan(NamedTuple):
    """One episode to record."""

    mode: Mode = Mode.DEMO
    success: bool = True
    steps: int = 6
    finished: bool = True


def image(stamp: int, camera: str) -> np.ndarray:
    """(4, 6, 3) uint8 that no other stamp or camera has."""
    rng = np.random.default_rng([stamp, CAMERAS.index(camera)])
    return rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)


def record_run(
    run: Path,
    plans: Sequence[Plan] = (Plan(), Plan(success=False), Plan(Mode.TRAIN), Plan(Mode.LABEL)),
    spec: EnvSpec = SPEC,
    cameras: Sequence[str] = CAMERAS,
    number: int = 0,
) -> list[Transition]:
    """Record a run; returns the transitions in its logs.

    As in training, a failed demonstration and an episode for labels have none. In an episode for labels the
    person holds the key of stage 1 in its second half.
    """
    written: list[Transition] = []
    with EpisodeRecorder(run / "episodes", spec, LENS) as recorder:
        for index, plan in enumerate(plans):
            episode = Episode(index, 10 * number + index, plan.mode)
            recorder.begin(episode)
            teaches = plan.mode is Mode.TRAIN or (plan.mode is Mode.DEMO and plan.success)
            made = []
            for tick in range(plan.steps + 1):
                stamp = (1000 * index + tick) * TICK
                label = int(tick > plan.steps / 2) if plan.mode is Mode.LABEL else -1
                person = TeleopCommand(stamp - TICK, True, np.zeros(6), label=label, who="script")
                pictures = {camera: StampedImage(stamp, image(stamp, camera)) for camera in cameras}
                recorder.state(arm_state(stamp), {}, Sight(images=pictures), person if tick else None)
                if teaches and tick:
                    last = tick == plan.steps
                    changes = {
                        "episode": index,
                        "step": tick - 1,
                        "source": Source.DEMO if plan.mode is Mode.DEMO else Source.POLICY,
                        "reward": float(last and plan.success),
                        "terminated": last and plan.success,
                        "truncated": last and not plan.success,
                        "stamp": stamp,
                    }
                    made.append(transition(spec, len(written) + len(made), run=number, **changes))
            for one in made:
                recorder.transition(one)
            written += made
            if plan.finished:
                human = 0 if plan.mode is Mode.TRAIN else plan.steps
                reward = sum(t.reward - t.penalty for t in made)
                recorder.end(EpisodeResult(episode, plan.steps, plan.success, reward, 0, human, 1))
    return written


def arm_state(stamp: int) -> ArmState:
    """An arm that moves a little with time."""
    pose = Pose(np.array([0.4, 1e-12 * stamp, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
    return ArmState(stamp, np.zeros(7), np.zeros(7), pose, np.zeros(6), np.zeros(6), 0.08, False, pose)
