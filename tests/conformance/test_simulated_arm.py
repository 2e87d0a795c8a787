"""Both engines of the simulated arm, and its tracker, against the conformance suites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from robot_rl.core.protocols import Clock, GroundTruth, Plant
from robot_rl.core.types import Episode, Mode
from sim.arm.settings import ArmSimConfig, SceneConfig, peg_arm
from sim.arm.simulated_arm import Backend, SimulatedArm, make_plant
from tests.conformance.plant import PlantSuite
from tests.conformance.robot import RobotSuite
from tests.conformance.tracker import TrackerBench, TrackerSuite


class _Engine:
    backend = "mujoco"

    @pytest.fixture
    def plant(self) -> Iterator[Plant]:
        plant = make_plant(ArmSimConfig(), self.backend)
        yield plant
        plant.close()


class TestMujocoPlant(_Engine, PlantSuite):
    pass


class TestPybulletPlant(_Engine, PlantSuite):
    backend = "pybullet"


class _Arm:
    backend: Backend = "mujoco"
    motion: Literal["teleport", "trajectory"] = "teleport"

    @pytest.fixture
    def robot(self) -> Iterator[SimulatedArm]:
        arm = SimulatedArm(ArmSimConfig(reset_motion=self.motion), self.backend)
        assert isinstance(arm, GroundTruth)
        assert isinstance(arm.clock, Clock)
        yield arm
        arm.close()


class TestMujocoArm(_Arm, RobotSuite):
    pass


class TestMujocoArmResetByTrajectory(_Arm, RobotSuite):
    motion = "trajectory"


class TestPybulletArm(_Arm, RobotSuite):
    backend = "pybullet"


class _PegArm:
    backend: Backend = "mujoco"

    @pytest.fixture
    def robot(self) -> Iterator[SimulatedArm]:
        arm = SimulatedArm(peg_arm(), self.backend)
        yield arm
        arm.close()


class TestMujocoPegArm(_PegArm, RobotSuite):
    pass


class TestPybulletPegArm(_PegArm, RobotSuite):
    backend = "pybullet"


class TestSimulatedTracker(TrackerSuite):
    @pytest.fixture
    def bench(self) -> TrackerBench:
        arm = SimulatedArm(ArmSimConfig(scene=SceneConfig(kind="goal")))
        arm.reset(Episode(0, 0, Mode.EVAL))
        return TrackerBench(arm.tracker, arm.clock, arm.advance, slowest=1 / 60 + 0.02 + 0.004)
