"""What every `Plant` must do. Inherit, and give a fixture `plant` with a Panda and a cube of 40 mm."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.core.frames import rotate
from robot_rl.core.protocols import Plant
from robot_rl.core.types import Pose

CUBE = Pose(np.array([0.5, 0.1, 0.02]), np.array([0.0, 0.0, 0.0, 1.0]))
Q = np.array([0.1, -0.2, 0.05, -2.1, 0.1, 1.9, 0.8])
ZERO = np.zeros(7)


def snapshot(plant: Plant) -> bytes:
    """All that can be read of a plant."""
    arm = plant.read()
    parts = [arm.q, arm.dq, arm.position, arm.quaternion, arm.jacobian, arm.coriolis, arm.wrench]
    for pose in plant.objects().values():
        parts += [pose.position, pose.quaternion]
    return np.concatenate([p.ravel() for p in parts] + [[arm.gripper_width]]).tobytes()


class PlantSuite:
    """Conformance of a plant."""

    @pytest.fixture
    def ready(self, plant: Plant) -> Plant:
        plant.reset(Q, 0.08, {"cube": CUBE})
        return plant

    def test_satisfies_the_protocol(self, plant: Plant) -> None:
        assert isinstance(plant, Plant)
        assert plant.timestep > 0.0

    def test_reset_puts_all_where_it_was_told(self, ready: Plant) -> None:
        arm = ready.read()
        np.testing.assert_allclose(arm.q, Q, atol=1e-12)
        np.testing.assert_array_equal(arm.dq, ZERO)
        np.testing.assert_allclose(ready.objects()["cube"].position, CUBE.position, atol=1e-12)
        assert arm.gripper_width == pytest.approx(0.08, abs=1e-9)

    def test_arm_without_torque_stays_where_it_is(self, ready: Plant) -> None:
        for _ in range(100):
            ready.read()
            ready.apply(ZERO, 0.08)
            ready.advance(2)
        assert np.abs(ready.read().q - Q).max() < 1e-3

    def test_cube_falls_to_the_table(self, ready: Plant) -> None:
        ready.place({"cube": Pose(np.array([0.55, -0.1, 0.10]), CUBE.quaternion)})
        for _ in range(250):
            ready.read()
            ready.apply(ZERO, 0.08)
            ready.advance(2)
        cube = ready.objects()["cube"].position
        np.testing.assert_allclose(cube, [0.55, -0.1, 0.02], atol=2e-3)

    def test_jacobian_is_the_derivative_of_the_pose(self, ready: Plant) -> None:
        jacobian = ready.read().jacobian.copy()
        step = 1e-5
        for joint in range(7):
            ends = []
            for sign in (-1, 1):
                q = Q.copy()
                q[joint] += sign * step
                ready.reset(q, 0.08, {"cube": CUBE})
                ends.append(ready.read().position.copy())
            np.testing.assert_allclose((ends[1] - ends[0]) / (2 * step), jacobian[:3, joint], atol=1e-3)

    def test_torque_turns_its_joint_the_positive_way(self, ready: Plant) -> None:
        for joint in range(7):
            ready.reset(Q, 0.08, {"cube": CUBE})
            torque = np.zeros(7)
            torque[joint] = 2.0
            for _ in range(10):
                ready.read()
                ready.apply(torque, 0.08)
                ready.advance(2)
            assert ready.read().dq[joint] > 1e-3

    def test_nothing_touched_is_no_wrench(self, ready: Plant) -> None:
        ready.apply(ZERO, 0.08)
        ready.advance(20)
        np.testing.assert_array_equal(ready.read().wrench, np.zeros(6))

    def test_a_contact_is_felt_until_the_next_reset(self, ready: Plant) -> None:
        # The cube overlaps a finger of the open gripper.
        tcp = ready.read()
        inside = tcp.position + rotate(tcp.quaternion, np.array([0.0, 0.035, 0.0]))
        ready.place({"cube": Pose(inside, tcp.quaternion.copy())})
        ready.apply(ZERO, 0.08)
        ready.advance(4)
        assert np.linalg.norm(ready.read().wrench) > 0.1
        ready.reset(Q, 0.08, {"cube": CUBE})
        np.testing.assert_array_equal(ready.read().wrench, np.zeros(6))
        ready.advance(2)
        np.testing.assert_array_equal(ready.read().wrench, np.zeros(6))

    def test_gripper_follows_its_command(self, ready: Plant) -> None:
        for wanted in (0.0, 0.06):
            for _ in range(500):
                ready.read()
                ready.apply(ZERO, wanted)
                ready.advance(2)
            assert ready.read().gripper_width == pytest.approx(wanted, abs=2e-3)

    def test_same_start_gives_the_same_bits_whatever_came_before(self, plant: Plant) -> None:
        def play(seed: int) -> list[bytes]:
            rng = np.random.default_rng(seed)
            plant.reset(Q, 0.08, {"cube": CUBE})
            log = []
            for i in range(150):
                plant.read()
                plant.apply(rng.uniform(-3, 3, 7), 0.0 if i % 40 > 20 else 0.08)
                plant.advance(2)
                log.append(snapshot(plant))
            return log

        first = play(1)
        assert play(2) != first
        assert play(1) == first

    def test_objects_are_copies(self, ready: Plant) -> None:
        ready.objects()["cube"].position[:] = 9.0
        np.testing.assert_allclose(ready.objects()["cube"].position, CUBE.position, atol=1e-12)
