"""Pictures and films of the simulated arm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from robot_rl.core.errors import ConfigError, MissingDependencyError
from robot_rl.core.types import Episode, Mode, Pose
from sim.arm.render import CAMERAS, Film, Renderer, VideoWriter, Viewer
from sim.arm.settings import ArmSimConfig, SceneConfig
from sim.arm.simulated_arm import SimulatedArm


def red_pixels(picture: np.ndarray) -> np.ndarray:
    """(n, 2) rows and columns where the red cube is."""
    r, g, b = (picture[..., i].astype(int) for i in range(3))
    return np.argwhere((r > 100) & (r > 2 * g) & (r > 2 * b))


@pytest.fixture
def arm() -> SimulatedArm:
    arm = SimulatedArm()
    arm.reset(Episode(0, 3, Mode.EVAL))
    return arm


def test_every_camera_gives_a_picture_of_something(arm: SimulatedArm) -> None:
    for camera in CAMERAS:
        with Renderer(arm, width=160, height=120, camera=camera) as renderer:
            picture = renderer.render()
        assert picture.shape == (120, 160, 3) and picture.dtype == np.uint8
        assert picture.std() > 5.0


def test_the_picture_shows_where_the_cube_is(arm: SimulatedArm) -> None:
    with Renderer(arm, width=320, height=240, camera="top") as renderer:
        before = red_pixels(renderer.render())
        cube = arm.truth()["cube"]
        arm.plant.place({"cube": Pose(cube.position + np.array([-0.1, 0.0, 0.0]), cube.quaternion)})
        after = red_pixels(renderer.render())
    assert len(before) > 20 and len(after) > 20
    # Seen from above, the base's x axis runs up the picture.
    shift = after.mean(axis=0) - before.mean(axis=0)
    assert shift[0] > 15 and abs(shift[1]) < 5


def test_both_engines_look_the_same(arm: SimulatedArm) -> None:
    other = SimulatedArm(backend="pybullet")
    other.reset(Episode(0, 3, Mode.EVAL))
    pictures = []
    for one in (arm, other):
        with Renderer(one, width=160, height=120) as renderer:
            pictures.append(renderer.render().astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5
    other.close()


def test_goal_is_drawn() -> None:
    arm = SimulatedArm(ArmSimConfig(scene=SceneConfig(kind="goal")))
    arm.reset(Episode(0, 3, Mode.EVAL))
    with Renderer(arm, width=160, height=120) as renderer:
        picture = renderer.render().astype(int)
    green = (picture[..., 1] > picture[..., 0] + 30) & (picture[..., 1] > picture[..., 2] + 30)
    assert green.sum() > 5


def test_film_can_be_played(arm: SimulatedArm, tmp_path: Path) -> None:
    path = tmp_path / "new" / "film.mp4"
    with Film(arm, path, rate=10) as film:
        for _ in range(5):
            film.add()
            arm.advance(0.1)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert frames == 5
    assert seconds == pytest.approx(0.5)


def test_an_unfinished_film_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", rate=10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_unknown_camera_is_told_apart(arm: SimulatedArm) -> None:
    with pytest.raises(ConfigError, match=r"unknown camera 'forehead'.*front"):
        Renderer(arm, camera="forehead")


def test_viewer_without_a_display_says_what_to_do(arm: SimulatedArm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(MissingDependencyError, match="a display is not installed"):
        Viewer(arm)


def test_missing_graphics_library_says_what_to_do(arm: SimulatedArm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"EGL or OSMesa.*make system-deps"):
        Renderer(arm, width=32, height=32)


def test_settings_need_no_simulator() -> None:
    code = (
        "import sys; sys.modules.update(mujoco=None, pybullet=None); "
        "from sim.arm.settings import ArmSimConfig; ArmSimConfig(); import sim.arm.simulated_arm"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
