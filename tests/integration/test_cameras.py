"""The simulated cameras: what they show, where, and in which look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.core.errors import ConfigError
from robot_rl.core.frames import compose, inverse, yaw_quaternion
from robot_rl.core.types import ArmState, Episode, Mode, Pose
from sim.arm.cameras import CAMERA_NAMES, TableCameras
from sim.arm.looks import CLEARANCE, MAX_DISTRACTORS, Distractor, Look, draw_look, footprint
from sim.arm.scene import draw_scene
from sim.arm.settings import ArmSimConfig, SceneConfig, peg_arm
from sim.arm.simulated_arm import SimulatedArm

# Bright and of one colour under a light from everywhere: what is red is the cube.
PLAIN = Look(cube=(1.0, 0.0, 0.0), ambient=1.0, diffuse=0.0, headlight=0.0)


def red(picture: np.ndarray) -> np.ndarray:
    """(n, 2) rows and columns of the red pixels."""
    r, g, b = (picture[..., i].astype(int) for i in range(3))
    return np.argwhere((r > 80) & (r > 2 * g) & (r > 2 * b))


@pytest.fixture(scope="module")
def state() -> ArmState:
    arm = SimulatedArm()
    state = arm.reset(Episode(0, 3, Mode.EVAL))
    arm.close()
    return state


@pytest.fixture(scope="module")
def shared() -> Iterator[TableCameras]:
    with TableCameras(ArmSimConfig()) as cameras:
        yield cameras


@pytest.fixture
def cameras(shared: TableCameras) -> TableCameras:
    shared.set_look(Look())
    return shared


def cube_at(x: float, y: float, z: float = 0.02) -> dict[str, Pose]:
    return {"cube": Pose(np.array([x, y, z]), yaw_quaternion(0.3))}


def test_pictures_have_the_promised_form(cameras: TableCameras, state: ArmState) -> None:
    pictures = cameras.render(state, cube_at(0.5, 0.0))
    assert tuple(pictures) == CAMERA_NAMES
    for picture in pictures.values():
        assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
        assert picture.flags.owndata and picture.std() > 10.0


def test_equal_states_give_equal_bits_whatever_was_drawn_before(
    cameras: TableCameras, state: ArmState
) -> None:
    objects = cube_at(0.55, 0.1)
    first = cameras.render(state, objects)
    cameras.set_look(draw_look(1, distractors=2))
    other = cameras.render(replace(state, q=state.q + 0.1), cube_at(0.4, -0.1))
    cameras.set_look(Look())
    again = cameras.render(state, objects)
    with TableCameras(ArmSimConfig()) as fresh:
        new = fresh.render(state, objects)
    for name in CAMERA_NAMES:
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_array_equal(first[name], new[name])
        assert (first[name] != other[name]).any()


def test_one_camera_alone_sees_the_same(cameras: TableCameras, state: ArmState) -> None:
    both = cameras.render(state, cube_at(0.5, 0.1))
    for name in CAMERA_NAMES:
        with TableCameras(ArmSimConfig(), names=(name,)) as one:
            np.testing.assert_array_equal(one.render(state, cube_at(0.5, 0.1))[name], both[name])


def test_it_does_not_matter_which_engine_moved_the_arm(cameras: TableCameras) -> None:
    pictures = []
    for backend in ("mujoco", "pybullet"):
        arm = SimulatedArm(backend=backend)
        pictures.append(cameras.render(arm.reset(Episode(0, 3, Mode.EVAL)), arm.truth()))
        arm.close()
    for name in CAMERA_NAMES:
        different = (pictures[0][name] != pictures[1][name]).any(axis=2)
        assert different.mean() < 0.001


@pytest.mark.parametrize("xy", [(0.37, -0.23), (0.5, 0.0), (0.63, 0.23)])
def test_a_point_is_drawn_where_the_intrinsics_say(
    cameras: TableCameras, state: ArmState, xy: tuple[float, float]
) -> None:
    cameras.set_look(PLAIN)
    base_to_camera = inverse(cameras.where("side", state))
    rows_columns = red(cameras.render(state, cube_at(*xy))["side"])
    assert len(rows_columns) > 60
    assert_projected(cameras, "side", base_to_camera, np.array([*xy, 0.02]), rows_columns)


def test_the_wrist_camera_is_where_it_says(cameras: TableCameras, state: ArmState) -> None:
    cameras.set_look(PLAIN)
    # A cube that hangs in the air before the hand, wholly in view.
    place = compose(state.tcp, Pose(np.array([0.08, 0.03, 0.08]), yaw_quaternion(0.0)))
    rows_columns = red(cameras.render(state, {"cube": place})["wrist"])
    assert len(rows_columns) > 100
    assert_projected(cameras, "wrist", inverse(cameras.where("wrist", state)), place.position, rows_columns)


def assert_projected(
    cameras: TableCameras, name: str, to_camera: Pose, point: np.ndarray, pixels: np.ndarray
) -> None:
    x, y, z = compose(to_camera, Pose(point, yaw_quaternion(0.0))).position.tolist()
    k = cameras.intrinsics[name]
    expected = np.array([k.cy + k.fy * y / z, k.cx + k.fx * x / z])
    middle = 0.5 * (pixels.min(axis=0) + pixels.max(axis=0))
    np.testing.assert_allclose(middle, expected, atol=2.0)


def test_the_side_camera_sees_the_whole_area(cameras: TableCameras, state: ArmState) -> None:
    cameras.set_look(PLAIN)
    scene = SceneConfig()
    corners = [
        (scene.area_centre[0] + i * scene.area_size[0] / 2, scene.area_centre[1] + j * scene.area_size[1] / 2)
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    for x, y in corners:
        for z in (0.02, 0.12):
            pixels = red(cameras.render(state, cube_at(x, y, z))["side"])
            assert len(pixels) > 50
            assert pixels.min() > 0 and pixels.max() < 127


def test_the_wrist_camera_sees_what_is_between_the_fingers(cameras: TableCameras, state: ArmState) -> None:
    cameras.set_look(PLAIN)
    pixels = red(cameras.render(state, {"cube": state.tcp})["wrist"])
    assert len(pixels) > 300
    # Not at the rim, which random crops cut off.
    middle = np.median(pixels, axis=0)
    assert middle.min() > 12 and middle.max() < 115


def test_looks_differ_and_strength_zero_is_the_default(cameras: TableCameras, state: ArmState) -> None:
    assert draw_look(5, strength=0.0) == Look()
    assert draw_look(5) == draw_look(5)
    assert draw_look(5) != draw_look(6)
    base = cameras.render(state, cube_at(0.5, 0.1))["side"].astype(int)
    distances = []
    for strength in (0.3, 1.0):
        changes = []
        for seed in range(8):
            cameras.set_look(draw_look(seed, strength))
            changes.append(np.abs(cameras.render(state, cube_at(0.5, 0.1))["side"] - base).mean())
        distances.append(np.mean(changes))
    assert 5.0 < distances[0] < 0.6 * distances[1]


def test_a_moved_mount_moves_the_picture(cameras: TableCameras, state: ArmState) -> None:
    cameras.set_look(PLAIN)
    before = red(cameras.render(state, cube_at(0.5, 0.1))["side"]).mean(axis=0)
    turned = replace(PLAIN, side=replace(PLAIN.side, rotation=(0.0, 0.02, 0.0)))
    cameras.set_look(turned)
    after = red(cameras.render(state, cube_at(0.5, 0.1))["side"]).mean(axis=0)
    # Turned to the left by 20 mrad about its own up: things go right by the focal length times that.
    shift = cameras.intrinsics["side"].fx * 0.02
    np.testing.assert_allclose(after - before, [0.0, shift], atol=1.0)


def test_exposure_scales_brightness(cameras: TableCameras, state: ArmState) -> None:
    means = []
    for exposure in (0.5, 1.0):
        cameras.set_look(Look(exposure=exposure))
        means.append(cameras.render(state, {})["side"].mean())
    assert means[0] == pytest.approx(0.5 * means[1], rel=0.05)


@pytest.mark.parametrize("kind", ["cube", "peg"])
def test_distractors_keep_away_from_the_object(kind: str) -> None:
    scene = SceneConfig() if kind == "cube" else peg_arm().scene
    for seed in range(50):
        objects = draw_scene(scene, seed).objects
        look = draw_look(seed, 0.3, 2, scene, objects)
        assert len(look.distractors) == 2
        for thing in look.distractors:
            for name, pose in objects.items():
                gap = np.linalg.norm(pose.position[:2] - thing.position) - footprint(name, scene)
                assert gap - thing.radius >= CLEARANCE


def test_distractors_are_drawn_and_go_away_again(cameras: TableCameras, state: ArmState) -> None:
    empty = cameras.render(state, cube_at(0.4, 0.0))["side"].astype(int)
    for kind in ("box", "cylinder", "sphere"):
        thing = Distractor(kind, 0.02, 0.04, (0.6, -0.1), 0.4, (0.0, 0.9, 0.0))
        cameras.set_look(Look(distractors=(thing,)))
        with_it = cameras.render(state, cube_at(0.4, 0.0))["side"].astype(int)
        assert 50 < (np.abs(with_it - empty).sum(axis=2) > 30).sum() < 400
    cameras.set_look(Look())
    np.testing.assert_array_equal(cameras.render(state, cube_at(0.4, 0.0))["side"], empty)


def test_the_peg_and_its_board_are_drawn() -> None:
    config = peg_arm()
    arm = SimulatedArm(config)
    state = arm.reset(Episode(0, 1, Mode.EVAL))
    look = Look(peg=(0.0, 1.0, 0.0), board=(1.0, 0.0, 0.0), ambient=1.0, diffuse=0.0, headlight=0.0)
    with TableCameras(config, look) as cameras:
        pictures = cameras.render(state, arm.truth())
        hole = arm.truth()["hole"]
        moved = cameras.render(
            state, {"hole": Pose(hole.position + np.array([0.05, 0.0, 0.0]), hole.quaternion)}
        )
    arm.close()
    for name in CAMERA_NAMES:
        green = (pictures[name][..., 1] > 150) & (pictures[name][..., 0] < 50)
        assert green.sum() > 5
        assert len(red(pictures[name])) > 100
    shift = red(moved["side"]).mean(axis=0) - red(pictures["side"]).mean(axis=0)
    assert shift[1] > 10 and abs(shift[0]) < 3


def test_bad_settings_say_what_is_valid(cameras: TableCameras) -> None:
    with pytest.raises(ConfigError, match=r"unknown camera 'wirst'.*wrist"):
        TableCameras(ArmSimConfig(), names=("wirst",))
    with pytest.raises(ConfigError, match="8 pixels or more"):
        TableCameras(ArmSimConfig(), size=4)
    thing = Distractor("box", 0.02, 0.04, (0.6, 0.0), 0.0, (0.0, 0.0, 1.0))
    with pytest.raises(ConfigError, match=f"at most {MAX_DISTRACTORS}"):
        cameras.set_look(Look(distractors=(thing,) * (MAX_DISTRACTORS + 1)))
    with pytest.raises(ValueError, match="strength"):
        draw_look(0, 1.5)
    with pytest.raises(ValueError, match="distractors"):
        draw_look(0, 1.0, MAX_DISTRACTORS + 1)
