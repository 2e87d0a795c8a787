"""A peg in the hand and a board with a hole: geometry, contact and force in both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.core.errors import RobotFaultError
from robot_rl.core.frames import swing_twist
from robot_rl.core.types import ArmCommand, ArmState, Episode, Mode, Pose
from sim.arm.peg import board_boxes, peg_box
from sim.arm.render import Renderer
from sim.arm.scene import draw_scene, tool_down
from sim.arm.settings import ArmSimConfig, SceneConfig, peg_arm, peg_scene
from sim.arm.simulated_arm import Backend, SimulatedArm

ENGINES: tuple[Backend, ...] = ("mujoco", "pybullet")
CONFIG = peg_arm()
SCENE = CONFIG.scene
TOP = SCENE.board_size[2]


@pytest.fixture(params=ENGINES)
def arm(request: pytest.FixtureRequest) -> Iterator[SimulatedArm]:
    arm = SimulatedArm(CONFIG, request.param)
    yield arm
    arm.close()


def depth(arm: SimulatedArm) -> float:
    """Of the peg's tip below the board's top [m]."""
    return TOP + SCENE.peg_length - float(arm.state().tcp.position[2])


def push(
    arm: SimulatedArm, aside: tuple[float, float] = (0.0, 0.0), turn: float = 0.0, to: float = 0.03
) -> list[ArmState]:
    """Go above a point beside the hole, in the hole's frame, and straight down at 0.05 m/s.

    Returns:
        The states on the way down and half a second after.
    """
    hole = arm.truth()["hole"]
    yaw = swing_twist(hole.quaternion)[1]
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = hole.position[:2] + np.array([[c, -s], [s, c]]) @ aside
    above = TOP + SCENE.peg_length + 0.02
    heights = [above] * 18 + np.arange(above, above - 0.02 - to, -0.005).tolist() + [above - 0.02 - to] * 5
    states = []
    for z in heights:
        goal = tool_down(np.array([x, y, z]), yaw + turn)
        states.append(arm.step(ArmCommand(arm.clock.now(), goal, close_gripper=True)))
    return states[18:]


def force(state: ArmState) -> float:
    return float(np.linalg.norm(state.wrench[:3]))


def test_the_boxes_leave_a_square_hole_of_the_right_size() -> None:
    boxes = board_boxes(SCENE)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 3)) * SCENE.board_size
    points[:, 2] -= TOP / 2
    covered = sum(
        (np.abs(points - box.centre) <= np.array(box.half_sides)).all(axis=1).astype(int) for box in boxes
    )
    hole = np.abs(points[:, :2]).max(axis=1) < (SCENE.peg_side + SCENE.clearance) / 2
    np.testing.assert_array_equal(covered == 0, hole)
    assert np.max(covered) == 1


def test_the_peg_reaches_below_the_fingers() -> None:
    box = peg_box(SCENE)
    assert box.centre[2] + box.half_sides[2] == pytest.approx(SCENE.peg_length)
    assert box.half_sides[:2] == (SCENE.peg_side / 2, SCENE.peg_side / 2)


def test_scenes_draw_the_hole_within_its_bounds_and_the_peg_above() -> None:
    yaws, places = [], []
    for seed in range(200):
        scene = draw_scene(SCENE, seed)
        hole = scene.objects["hole"]
        assert hole.position[2] == TOP
        assert scene.tcp.position[2] - SCENE.peg_length > TOP + 0.02
        yaws.append(swing_twist(hole.quaternion)[1])
        places.append(hole.position[:2] - SCENE.area_centre)
    assert np.abs(places).max() <= 0.05 and np.ptp(places, axis=0).min() > 0.09
    assert np.abs(yaws).max() <= np.radians(15.0) and np.ptp(yaws) > np.radians(27.0)


def test_equal_seeds_give_equal_bits(arm: SimulatedArm) -> None:
    runs = []
    for _ in range(2):
        arm.reset(Episode(0, 5, Mode.EVAL))
        runs.append(np.array([np.concatenate([s.q, s.wrench]) for s in push(arm, (0.0008, 0.0))]))
    np.testing.assert_array_equal(runs[0], runs[1])


@pytest.mark.parametrize("seed", range(3))
def test_an_aligned_peg_slides_in_without_force(arm: SimulatedArm, seed: int) -> None:
    arm.reset(Episode(0, seed, Mode.EVAL))
    states = push(arm)
    assert depth(arm) == pytest.approx(0.03, abs=1e-4)
    assert max(map(force, states)) < 5.0


@pytest.mark.parametrize(
    ("aside", "turn"),
    [((0.001, 0.0), 0.0), ((0.0, -0.0015), 0.0), ((0.02, 0.015), 0.0), ((0.0, 0.0), 0.12)],
)
def test_a_peg_beside_the_hole_stops_on_the_board(
    arm: SimulatedArm, aside: tuple[float, float], turn: float
) -> None:
    arm.reset(Episode(0, 1, Mode.EVAL))
    states = push(arm, aside, turn)
    assert depth(arm) == pytest.approx(0.0, abs=2e-4)
    # Stiffness times clip, upwards on the peg, and not much more at the touch.
    assert states[-1].wrench[2] == pytest.approx(2000.0 * 0.0075, abs=0.5)
    assert force(states[-1]) < 16.0
    assert max(map(force, states)) < 40.0


def test_the_walls_hold_the_peg(arm: SimulatedArm) -> None:
    arm.reset(Episode(0, 1, Mode.EVAL))
    push(arm, to=0.02)
    state = arm.state()
    inside = state.tcp
    for _ in range(10):
        goal = Pose(inside.position + np.array([0.02, 0.0, 0.0]), inside.quaternion)
        state = arm.step(ArmCommand(arm.clock.now(), goal, close_gripper=True))
    assert np.linalg.norm(state.tcp.position[:2] - inside.position[:2]) < 0.003
    assert state.wrench[0] == pytest.approx(-15.0, abs=1.5)


def test_a_pressed_peg_finds_the_hole_by_sliding(arm: SimulatedArm) -> None:
    arm.reset(Episode(0, 1, Mode.EVAL))
    states = push(arm, (-0.004, 0.0), to=0.002)
    assert depth(arm) == pytest.approx(0.0, abs=2e-4)
    hole, yaw = arm.truth()["hole"], swing_twist(arm.truth()["hole"].quaternion)[1]
    along = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    for way in np.linspace(-0.004, 0.006, 11):
        goal = tool_down(hole.position + way * along + np.array([0.0, 0.0, SCENE.peg_length - 0.006]), yaw)
        states.append(arm.step(ArmCommand(arm.clock.now(), goal, close_gripper=True)))
    assert depth(arm) > 0.004
    assert max(map(force, states)) < 40.0


def test_fast_contact_trips_the_force_limit() -> None:
    limits = replace(CONFIG.limits, linear_speed=0.45)
    gains = ArmSimConfig().gains
    arm = SimulatedArm(replace(CONFIG, limits=limits, gains=gains))
    arm.reset(Episode(0, 1, Mode.EVAL))
    x, y = arm.truth()["hole"].position[:2] + 0.025
    with pytest.raises(RobotFaultError, match="external force"):
        for _ in range(10):
            arm.step(ArmCommand(arm.clock.now(), tool_down(np.array([x, y, 0.05]), 0.0), close_gripper=True))


def test_the_fingers_hold_the_peg_whatever_the_gripper_is_told(arm: SimulatedArm) -> None:
    state = arm.reset(Episode(0, 1, Mode.EVAL))
    for close in (True, False, True):
        state = arm.step(ArmCommand(state.stamp, state.tcp, close))
        assert state.gripper_width == pytest.approx(SCENE.peg_side, abs=5e-4)


def test_the_tracker_sees_the_hole(arm: SimulatedArm) -> None:
    arm.reset(Episode(0, 1, Mode.EVAL))
    measured = arm.tracker.read()["hole"].pose
    np.testing.assert_allclose(measured.position, arm.truth()["hole"].position, atol=0.003)


def test_reset_by_trajectory_comes_to_the_start() -> None:
    arm = SimulatedArm(replace(CONFIG, reset_motion="trajectory"))
    for seed in (1, 2):
        state = arm.reset(Episode(0, seed, Mode.EVAL))
        scene = draw_scene(SCENE, seed)
        np.testing.assert_allclose(state.tcp.position, scene.tcp.position, atol=0.002)
        np.testing.assert_array_equal(arm.truth()["hole"].position, scene.objects["hole"].position)


def test_films_show_peg_and_board() -> None:
    arm = SimulatedArm(CONFIG)
    arm.reset(Episode(0, 1, Mode.EVAL))
    with Renderer(arm, width=320, height=240, camera="front") as renderer:
        picture = renderer.render().astype(int)
    r, g, b = picture[..., 0], picture[..., 1], picture[..., 2]
    assert ((b > 2 * r) & (b > g + 30)).sum() > 50
    assert ((r > 2 * b) & (g > 2 * b) & (r > 60)).sum() > 10


def test_impossible_scenes_are_refused() -> None:
    with pytest.raises(ValueError, match="clearance"):
        SceneConfig(kind="peg", clearance=0.0)
    with pytest.raises(ValueError, match=r"board_size must hold a hole of 0\.021"):
        SceneConfig(kind="peg", board_size=(0.02, 0.1, 0.03))
    assert peg_scene().hole_side == pytest.approx(0.021)
