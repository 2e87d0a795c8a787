"""The simulated arm in both engines: grasping, limits, faults, reproducibility."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from robot_rl.control.impedance import ImpedanceGains
from robot_rl.control.safety import SafetyLimits
from robot_rl.core.config import dump_yaml, load_yaml
from robot_rl.core.errors import ConfigError, RobotFaultError
from robot_rl.core.frames import swing_twist, tool_yaw
from robot_rl.core.protocols import Plant, PlantState
from robot_rl.core.types import ArmCommand, ArmState, Episode, Mode, Pose
from sim.arm import kinematics
from sim.arm.scene import draw_scene, home, tool_down
from sim.arm.settings import ArmSimConfig, PhysicsConfig, SceneConfig, TrackerConfig
from sim.arm.simulated_arm import Backend, SimulatedArm

ENGINES: tuple[Backend, ...] = ("mujoco", "pybullet")


@pytest.fixture(params=ENGINES)
def arm(request: pytest.FixtureRequest) -> Iterator[SimulatedArm]:
    arm = SimulatedArm(backend=request.param)
    yield arm
    arm.close()


def episode(seed: int) -> Episode:
    return Episode(seed, seed, Mode.EVAL)


def go(arm: SimulatedArm, position: tuple[float, ...], yaw: float, close: bool, steps: int) -> ArmState:
    """Send one goal for some periods."""
    state = arm.state()
    for _ in range(steps):
        state = arm.step(ArmCommand(state.stamp, tool_down(np.array(position), yaw), close))
    return state


def pick(arm: SimulatedArm) -> ArmState:
    """Grasp the cube and lift it to 0.2 m, by the truth."""
    cube = arm.truth()["cube"]
    x, y, z = cube.position.tolist()
    # A cube looks the same after a quarter turn.
    yaw = (swing_twist(cube.quaternion)[1] + np.pi / 4) % (np.pi / 2) - np.pi / 4
    go(arm, (x, y, 0.12), yaw, False, 25)
    go(arm, (x, y, z + 0.005), yaw, False, 12)
    go(arm, (x, y, z + 0.005), yaw, True, 6)
    return go(arm, (x, y, 0.2), yaw, True, 12)


@pytest.mark.parametrize("seed", range(4))
def test_picks_the_cube_anywhere_and_holds_it(arm: SimulatedArm, seed: int) -> None:
    arm.reset(episode(seed))
    state = pick(arm)
    grip = arm.truth()["cube"].position - state.tcp.position
    assert arm.truth()["cube"].position[2] > 0.17
    assert state.gripper_width == pytest.approx(0.04, abs=2e-3)
    # The estimate of the wrench feels the cube's weight and little else.
    np.testing.assert_allclose(state.wrench[:3], [0.0, 0.0, -0.05 * 9.81], atol=0.1)
    state = go(arm, (*state.target.position[:2], 0.2), tool_yaw(state.target.quaternion), True, 50)
    slip = arm.truth()["cube"].position - state.tcp.position - grip
    assert np.abs(slip).max() < 1e-3


def test_hard_shaking_does_not_lose_the_cube(arm: SimulatedArm) -> None:
    arm.reset(episode(0))
    state = pick(arm)
    for i in range(60):
        sign = 1 if i // 3 % 2 else -1
        wish = state.tcp.position + sign * np.array([0.04, 0.04, 0.02])
        state = arm.step(ArmCommand(state.stamp, tool_down(wish, 0.0), True))
    assert np.linalg.norm(arm.truth()["cube"].position - state.tcp.position) < 0.02


def test_gripper_lets_go(arm: SimulatedArm) -> None:
    arm.reset(episode(0))
    state = pick(arm)
    go(arm, (*state.target.position[:2], 0.2), 0.0, False, 6)
    assert arm.truth()["cube"].position[2] < 0.05


def play(arm: SimulatedArm, seed: int) -> list[bytes]:
    """All that can be known of an episode with random actions, without stamps."""
    rng = np.random.default_rng(seed)
    state = arm.reset(episode(seed))
    start, log = state.stamp, []
    for i in range(12):
        measured = arm.tracker.read()["cube"]
        cube = arm.truth()["cube"]
        parts = [state.q, state.dq, state.tcp.position, state.tcp.quaternion, state.twist, state.wrench]
        parts += [state.target.position, state.target.quaternion, cube.position, cube.quaternion]
        parts += [measured.pose.position, measured.pose.quaternion]
        parts += [np.array([state.stamp - start, measured.stamp - start, state.gripper_width])]
        log.append(np.concatenate(parts).tobytes())
        wish = state.target.position + rng.uniform([-0.04, -0.04, -0.06], 0.04)
        state = arm.step(ArmCommand(state.stamp, tool_down(wish, rng.uniform(-1, 1)), i % 4 > 1))
    return log


def test_an_episode_depends_on_its_seed_alone(arm: SimulatedArm) -> None:
    other = SimulatedArm(backend="mujoco" if "Mujoco" in type(arm.plant).__name__ else "pybullet")
    first = play(arm, 5)
    assert play(other, 6) != first
    assert play(other, 5) == first
    # Nor on a fault in between.
    other.safety.e_stop()
    other.recover()
    assert play(other, 5) == first
    other.close()


def test_kinematics_agree_with_the_engine(arm: SimulatedArm) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        q = rng.uniform([-1, -1, -1, -2.8, -1, 1, -1], [1, 1, 1, -1, 1, 3, 1])
        arm.plant.reset(q, 0.08, {})
        state = arm.plant.read()
        pose, jacobian = kinematics.forward(q)
        np.testing.assert_allclose(pose.position, state.position, atol=1e-6)
        assert abs(float(pose.quaternion @ state.quaternion)) == pytest.approx(1.0, abs=1e-7)
        np.testing.assert_allclose(jacobian, state.jacobian, atol=1e-6)


def test_inverse_kinematics_reach_the_whole_workspace() -> None:
    limits = SafetyLimits()
    lower, upper = np.array(limits.joint_lower) + limits.joint_margin, np.array(limits.joint_upper)
    for x in (limits.workspace_min[0], limits.workspace_max[0]):
        for y in (limits.workspace_min[1], limits.workspace_max[1]):
            for z in (limits.workspace_min[2], limits.workspace_max[2]):
                goal = tool_down(np.array([x, y, z]), 0.5)
                q = kinematics.inverse(goal)
                assert (q > lower).all() and (q < upper - limits.joint_margin).all()
                np.testing.assert_allclose(kinematics.forward(q)[0].position, goal.position, atol=1e-9)
    with pytest.raises(ValueError, match="cannot reach"):
        kinematics.inverse(tool_down(np.array([2.0, 0.0, 0.2]), 0.0))


def test_blocked_arm_pushes_with_stiffness_times_clip(arm: SimulatedArm) -> None:
    arm.reset(episode(0))
    x, y, _ = arm.truth()["cube"].position.tolist()
    # Closed fingers on the cube, which stands on the table; the wish is far below its top.
    go(arm, (x, y, 0.12), 0.0, True, 30)
    go(arm, (x, y, 0.06), 0.0, True, 10)
    state = go(arm, (x, y, 0.022), 0.0, True, 15)
    # The fingers' tips are 9 mm below the TCP, so the error is 49 - 22 mm, more than the clip of 20 mm.
    assert state.wrench[2] == pytest.approx(2000 * 0.02, rel=0.05)
    assert state.fault == ""


def test_wishes_are_kept_in_the_workspace(arm: SimulatedArm) -> None:
    limits = arm.config.limits
    state = arm.reset(episode(1))
    for direction in ((-1, -1, -1), (1, 1, 1)):
        for _ in range(25):
            wish = state.target.position + 0.05 * np.array(direction)
            state = arm.step(ArmCommand(state.stamp, tool_down(wish, 3.0), False))
            assert (state.target.position >= limits.workspace_min).all()
            assert (state.target.position <= limits.workspace_max).all()
            assert abs(tool_yaw(state.target.quaternion)) <= limits.yaw + 1e-9
        corner = limits.workspace_min if direction[0] < 0 else limits.workspace_max
        np.testing.assert_allclose(state.tcp.position, corner, atol=5e-3)


def test_faults_hold_the_arm_where_it_is(arm: SimulatedArm) -> None:
    state = arm.reset(episode(1))
    moving = go(arm, (*state.tcp.position[:2], 0.3), 0.0, False, 2)
    bad = Pose(np.array([np.nan, 0.0, 0.2]), state.target.quaternion)
    with pytest.raises(RobotFaultError, match="not finite"):
        arm.step(ArmCommand(moving.stamp, bad, False))
    arm.advance(1.0)
    held = arm.state()
    assert held.fault and np.abs(held.dq).max() < 0.01
    np.testing.assert_allclose(held.target.position, moving.tcp.position, atol=1e-9)
    np.testing.assert_allclose(held.tcp.position, moving.tcp.position, atol=5e-3)
    with pytest.raises(RobotFaultError):
        arm.move_home()
    arm.clear_fault()
    after = go(arm, (*state.tcp.position[:2], 0.3), 0.0, False, 10)
    assert after.tcp.position[2] == pytest.approx(0.3, abs=3e-3)


def test_a_collision_is_a_fault_that_clears_when_the_force_is_gone(arm: SimulatedArm) -> None:
    weak = SimulatedArm(ArmSimConfig(limits=SafetyLimits(force=20.0)), "mujoco")
    weak.reset(episode(0))
    x, y, _ = weak.truth()["cube"].position.tolist()
    go(weak, (x, y, 0.12), 0.0, True, 30)
    with pytest.raises(RobotFaultError, match=r"external force \d+ N, allowed 20 N"):
        go(weak, (x, y, 0.022), 0.0, True, 30)
    weak.advance(1.0)
    # Holding where it touched, it presses no more.
    weak.clear_fault()
    assert go(weak, (x, y, 0.2), 0.0, True, 10).tcp.position[2] > 0.19


def test_a_fault_forgets_the_way_that_was_still_to_go() -> None:
    # A slow arm far behind its filtered target.
    gains = ImpedanceGains(
        clip_negative=(0.005,) * 3 + (0.05,) * 3, clip_positive=(0.005,) * 3 + (0.05,) * 3, filter_time=0.3
    )
    arm = SimulatedArm(ArmSimConfig(gains=gains))
    arm.reset(episode(0))
    before = go(arm, (0.6, 0.3, 0.25), 0.0, False, 8)
    assert np.linalg.norm(before.target.position - before.tcp.position) > 0.1
    arm.safety.e_stop()
    arm.advance(1.0)
    assert np.linalg.norm(arm.state().tcp.position - before.tcp.position) < 0.005


class BrokenSensor:
    """A plant whose arm loses its pose measurement; it keeps the torques that it is told."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.torques: list[np.ndarray] = []

    def read(self) -> PlantState:
        state = self._plant.read()
        state.quaternion[:] = np.nan
        return state

    def apply(self, torque: np.ndarray, gripper_width: float) -> None:
        self.torques.append(torque)
        self._plant.apply(torque, gripper_width)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plant, name)


def test_a_blind_arm_gets_no_torque() -> None:
    arm = SimulatedArm()
    state = arm.reset(episode(0))
    broken = BrokenSensor(arm.plant)
    arm.plant = cast(Plant, broken)
    with pytest.raises(RobotFaultError, match="the measured pose is not finite"):
        arm.step(ArmCommand(state.stamp, state.target, False))
    np.testing.assert_array_equal(broken.torques, np.zeros((50, 7)))
    with pytest.raises(RobotFaultError, match="the measured pose is not finite"):
        arm.clear_fault()


def test_without_commands_the_arm_stops() -> None:
    arm = SimulatedArm()
    state = arm.reset(episode(2))
    far = ArmCommand(state.stamp, tool_down(np.array([0.68, 0.3, 0.3]), 0.0), False)
    arm.command(far)
    arm.advance(0.16)
    assert not arm.safety.holding
    arm.advance(0.04)
    assert arm.safety.holding and arm.safety.reasons == ("command timeout",)
    arm.advance(1.0)
    held = arm.state()
    assert held.fault == "" and np.abs(held.dq).max() < 0.01
    np.testing.assert_allclose(held.tcp.position, held.target.position, atol=2e-3)


def test_small_advances_are_the_same_as_a_step() -> None:
    a, b = SimulatedArm(), SimulatedArm()
    sa, sb = a.reset(episode(3)), b.reset(episode(3))
    command = ArmCommand(sa.stamp, tool_down(sa.target.position + 0.03, 0.2), True)
    sa = a.step(command)
    b.command(command)
    for _ in range(50):
        b.advance(0.002)
    sb = b.state()
    assert (sa.stamp, sa.q.tobytes(), sa.wrench.tobytes()) == (sb.stamp, sb.q.tobytes(), sb.wrench.tobytes())


def test_reset_by_trajectory_is_a_motion_within_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ArmSimConfig(reset_motion="trajectory")
    arm = SimulatedArm(config)
    arm.reset(episode(0))
    go(arm, (0.34, 0.29, 0.03), 0.9, True, 25)
    path: list[np.ndarray] = []
    monitor = arm.safety.monitor

    def watch(state: Any, stamp: int, now: int) -> None:
        path.append(arm.plant.read().position.copy())
        assert (arm.safety.target.position <= config.limits.workspace_max).all()
        assert (arm.safety.target.position[2] >= config.limits.workspace_min[2]).all()
        monitor(state, stamp, now)

    monkeypatch.setattr(arm.safety, "monitor", watch)
    state = arm.reset(episode(1))
    wish = draw_scene(config.scene, 1)
    np.testing.assert_allclose(state.tcp.position, wish.tcp.position, atol=5e-3)
    np.testing.assert_allclose(arm.truth()["cube"].position, wish.objects["cube"].position, atol=1e-3)
    assert not state.gripper_closed
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1) / 0.002
    assert speed.max() < 1.3 * config.reset_speed


def test_reset_by_trajectory_obeys_the_workspace() -> None:
    # A start outside the box: the limits win, and the reset says that it could not get there.
    scene = SceneConfig(start_centre=(0.5, 0.0, 0.5), start_size=(0.0, 0.0, 0.0))
    arm = SimulatedArm(ArmSimConfig(reset_motion="trajectory", scene=scene))
    with pytest.raises(RobotFaultError, match="did not reach its goal"):
        arm.reset(episode(0))
    assert arm.state().tcp.position[2] < 0.37 or arm.safety.fault


def test_move_home(arm: SimulatedArm) -> None:
    arm.reset(episode(4))
    state = arm.move_home()
    np.testing.assert_allclose(state.tcp.position, home(arm.config.scene).position, atol=5e-3)


def test_scenes_cover_their_ranges() -> None:
    config = SceneConfig()
    scenes = [draw_scene(config, seed) for seed in range(400)]
    cubes = np.array([s.objects["cube"].position for s in scenes])
    np.testing.assert_allclose(cubes.min(axis=0), [0.35, -0.25, 0.02], atol=0.01)
    np.testing.assert_allclose(cubes.max(axis=0), [0.65, 0.25, 0.02], atol=0.01)
    yaws = np.array([swing_twist(s.objects["cube"].quaternion)[1] for s in scenes])
    assert yaws.min() < -3.0 and yaws.max() > 3.0
    starts = np.array([s.tcp.position for s in scenes])
    np.testing.assert_allclose(starts.min(axis=0), [0.42, -0.12, 0.18], atol=0.01)
    np.testing.assert_allclose(starts.max(axis=0), [0.58, 0.12, 0.26], atol=0.01)


def test_a_goal_is_a_pose_in_the_air_and_nothing_solid() -> None:
    arm = SimulatedArm(ArmSimConfig(scene=SceneConfig(kind="goal")))
    arm.reset(episode(3))
    truth = arm.truth()
    assert list(truth) == ["goal"] == list(arm.tracker.read())
    assert 0.08 <= truth["goal"].position[2] <= 0.30
    go(arm, tuple(truth["goal"].position), 0.0, True, 30)
    np.testing.assert_array_equal(arm.truth()["goal"].position, truth["goal"].position)
    assert np.linalg.norm(arm.state().wrench) == 0.0


def test_an_empty_scene_has_no_objects() -> None:
    arm = SimulatedArm(ArmSimConfig(scene=SceneConfig(kind="empty")))
    arm.reset(episode(0))
    assert arm.truth() == {} == arm.tracker.read()


def test_tracker_is_late_by_its_latency_and_as_noisy_as_it_says() -> None:
    tracker = TrackerConfig(rate=50.0, latency=0.03, position_noise=0.002, rotation_noise=0.01)
    arm = SimulatedArm(ArmSimConfig(tracker=tracker))
    arm.reset(episode(0))
    truth = arm.truth()["cube"]
    positions, turns, ages = [], [], []
    last = -1
    while len(positions) < 400:
        arm.advance(0.002)
        measured = arm.tracker.read()["cube"]
        if measured.stamp != last:
            last = measured.stamp
            positions.append(measured.pose.position - truth.position)
            turn = swing_twist(measured.pose.quaternion)[1] - swing_twist(truth.quaternion)[1]
            turns.append((turn + np.pi) % (2 * np.pi) - np.pi)
            ages.append(arm.clock.now() - measured.stamp)
    assert np.std(positions) == pytest.approx(0.002, rel=0.1)
    assert np.abs(np.mean(positions, axis=0)).max() < 0.0005
    assert np.std(turns) == pytest.approx(0.01, rel=0.15)
    assert max(ages[1:]) <= 32_000_000 and min(ages[1:]) >= 30_000_000


def test_tracker_sees_a_moving_cube_where_it_was() -> None:
    exact = TrackerConfig(latency=0.05, position_noise=0.0, rotation_noise=0.0)
    arm = SimulatedArm(ArmSimConfig(tracker=exact))
    arm.reset(episode(0))
    history: dict[int, np.ndarray] = {}
    pick(arm)
    for _ in range(100):
        arm.advance(0.002)
        history[arm.clock.now()] = arm.truth()["cube"].position
    measured = arm.tracker.read()["cube"]
    np.testing.assert_array_equal(measured.pose.position, history[measured.stamp])


def test_settings_survive_a_file(tmp_path: Path) -> None:
    config = ArmSimConfig(reset_motion="trajectory", scene=SceneConfig(kind="goal"))
    dump_yaml(config, tmp_path / "arm.yaml")
    assert load_yaml(ArmSimConfig, tmp_path / "arm.yaml") == config


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="control_period must be a multiple"):
        ArmSimConfig(control_period=0.0031)
    with pytest.raises(ValueError, match="law_steps 1 or more"):
        PhysicsConfig(law_steps=0)
    with pytest.raises(ValueError, match="rate must be more than 0"):
        TrackerConfig(rate=0.0)
    with pytest.raises(ValueError, match="cube_side and cube_mass must be more than 0"):
        SceneConfig(cube_side=-0.04)
    with pytest.raises(ValueError, match="must be 0 or more"):
        SceneConfig(start_yaw=-1.0)
    with pytest.raises(ConfigError, match="unknown backend 'bulet': did you mean 'pybullet'"):
        SimulatedArm(backend="bulet")  # type: ignore[arg-type]
