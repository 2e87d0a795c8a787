"""Pictures for pretraining, their labels, a short training, and what the shipped encoder sees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_rl.core.errors import EncoderError
from robot_rl.core.frames import rotate, yaw_quaternion
from robot_rl.core.types import Pose, StampedImage
from robot_rl.perception.dataset import DatasetConfig, Pictures, Studio
from robot_rl.perception.encoder import load_encoder
from robot_rl.perception.encoder_errors import errors, head
from robot_rl.perception.pose_labels import LABELS, NEAR, SIDE, WRIST, side_label, wrist_label
from robot_rl.perception.pretrain import Augmenter, PretrainConfig, loss_of, pretrain
from robot_rl.perception.settings import SHIPPED, EncoderConfig
from sim.arm.scene import tool_down
from sim.arm.settings import SceneConfig, peg_scene

CUBE = DatasetConfig(peg_share=0.0)
PEG = DatasetConfig(peg_share=1.0)


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    studio = Studio()
    yield studio
    studio.close()


def named(camera: str, label: np.ndarray) -> dict[str, float]:
    return dict(zip(LABELS[camera], label.tolist(), strict=True))


def test_wrist_labels_are_in_the_tool_frame() -> None:
    tcp = tool_down(np.array([0.5, 0.1, 0.2]), 0.3)
    place = tcp.position + rotate(tcp.quaternion, np.array([0.02, -0.03, 0.1]))
    label = named("wrist", wrist_label(tcp, {"cube": Pose(place, yaw_quaternion(0.3 + 0.1))}, True))
    assert [label[f"cube.{axis}"] for axis in "xyz"] == pytest.approx([0.2, -0.3, 1.0], abs=1e-6)
    # The tool's axis points down: the cube's turn to the left is one to the right about it.
    assert np.arctan2(label["cube.sin"], label["cube.cos"]) == pytest.approx(-0.4, abs=1e-6)
    assert (label["cube.seen"], label["hole.seen"]) == (1.0, 0.0)
    assert np.isnan([label[f"hole.{name}"] for name in ("x", "y", "z", "cos", "sin")]).all()


def test_all_sides_of_a_square_are_the_same() -> None:
    tcp = tool_down(np.array([0.5, 0.1, 0.2]), 0.3)
    labels = [
        wrist_label(tcp, {"hole": Pose(np.zeros(3), yaw_quaternion(0.2 + k * np.pi / 2))}, True)
        for k in range(4)
    ]
    assert np.allclose(labels, labels[0], atol=1e-5, equal_nan=True)


def test_side_labels_are_in_the_base_frame() -> None:
    tcp = tool_down(np.array([0.5, 0.1, 0.2]), 0.3)
    hole = Pose(np.array([0.45, 0.0, 0.03]), yaw_quaternion(0.0))
    label = named("side", side_label(tcp, {"hole": hole}, True))
    assert [label[f"tcp.{axis}"] for axis in "xyz"] == pytest.approx([0.0, 1.0, 1.0], abs=1e-6)
    assert [label[f"hole.{axis}"] for axis in "xyz"] == pytest.approx([-0.5, 0.0, -0.7], abs=1e-6)
    assert [label[f"way.{axis}"] for axis in "xyz"] == pytest.approx([-0.5, -1.0, -1.7], abs=1e-6)


def test_what_is_not_seen_has_no_pose() -> None:
    tcp = tool_down(np.array([0.5, 0.1, 0.2]), 0.3)
    cube = {"cube": Pose(np.zeros(3), yaw_quaternion(0.0))}
    assert np.isnan(wrist_label(tcp, cube, False)[: len(WRIST) - 2]).all()
    label = side_label(tcp, cube, False)
    assert np.flatnonzero(np.isfinite(label)).tolist() == [6, 7, 8, len(SIDE) - 2, len(SIDE) - 1]
    assert label[-2:].tolist() == [0.0, 0.0]


def test_equal_seeds_draw_equal_pictures(studio: Studio) -> None:
    first, again, other = (studio.draw(3, seed, DatasetConfig()) for seed in (1, 1, 2))
    for camera in LABELS:
        assert np.array_equal(first.images[camera], again.images[camera])
        assert np.array_equal(first.labels[camera], again.labels[camera], equal_nan=True)
        assert not np.array_equal(first.images[camera], other.images[camera])


def test_both_scenes_are_drawn_near_and_far(studio: Studio) -> None:
    cubes, holes = studio.draw(40, 3, CUBE), studio.draw(40, 3, PEG)
    cube, hole = cubes.labels["side"], holes.labels["side"]
    assert cube[:, -2].mean() > 0.7
    assert hole[:, -2].max() == 0.0
    assert hole[:, -1].mean() > 0.9
    assert cube[:, -1].max() == 0.0
    gap = np.linalg.norm(cube[:, :3], axis=1)
    assert np.nanmin(gap) < 0.3
    assert np.nanmax(gap) > 2.0
    # The TCP stays the peg's length above the table, however deep the peg is.
    deepest = np.nanmax(-hole[:, 2]), np.nanmin(-hole[:, 2])
    assert deepest[1] < 10.0 * peg_scene().peg_length < deepest[0]
    # A cube in the hand hides no more of itself than one beside it: the wrist camera sees both.
    assert np.nanmin(np.abs(cubes.labels["wrist"][:, 2])) < 10.0 * SceneConfig().cube_side / 2


def test_augmented_pictures_are_pictures(studio: Studio) -> None:
    config = PretrainConfig(Path("unused"), batch=8)
    images = studio.draw(8, 4, CUBE).images["side"]
    changed = Augmenter(config, 0.5)(images.copy())
    assert changed.shape == (8, 3, 128, 128)
    assert changed.dtype == torch.float32
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0
    difference = np.abs(changed.permute(0, 2, 3, 1).numpy() - images / 255.0).mean(axis=(1, 2, 3))
    assert (difference > 0.005).all()
    assert np.unique(difference.round(4)).size == 8


def test_labels_that_are_not_known_do_not_count() -> None:
    predicted, spread = torch.tensor([[0.3, 5.0, -2.0]]), torch.zeros(1, 3)
    known = torch.tensor([[0.3, 4.0, float("nan")]])
    loss = float(loss_of(predicted, spread, known, 1))
    assert loss == pytest.approx(1.0 / 3.0, abs=1e-3)
    assert float(loss_of(predicted - torch.tensor([[0.0, 0.0, 9.0]]), spread, known, 1)) == loss
    assert float(loss_of(predicted + torch.tensor([[0.0, 0.1, 0.0]]), spread, known, 1)) > loss


def test_who_expects_an_error_pays_less_for_it_and_more_without() -> None:
    labels, spread = torch.zeros(1, 1), torch.tensor([[1.0]])
    wrong, right = torch.tensor([[5.0]]), torch.tensor([[0.0]])
    assert float(loss_of(wrong, spread, labels, 1)) < float(loss_of(wrong, 0 * spread, labels, 1))
    assert float(loss_of(right, spread, labels, 1)) > float(loss_of(right, 0 * spread, labels, 1))


def test_errors_are_in_millimetres_and_degrees() -> None:
    labels = np.zeros((1, len(WRIST)), np.float32)
    labels[0, 3] = labels[0, -2] = 1.0
    pictures = Pictures({}, {"wrist": labels})
    wrong = labels.copy()
    wrong[0, :5] = 0.03, 0.04, 0.1, np.cos(0.4), np.sin(0.4)
    found = errors("wrist", wrong, pictures, 0.05)
    assert found["near cube xy mm"]["median"] == pytest.approx(5.0)
    assert found["near cube z mm"]["median"] == pytest.approx(10.0)
    assert found["cube yaw degrees"]["median"] == pytest.approx(np.degrees(0.1), abs=0.01)
    assert found["cube seen wrong %"]["mean"] == 0.0


def test_a_short_training_writes_a_file_that_loads(tmp_path: Path) -> None:
    out = tmp_path / "new.safetensors"
    config = PretrainConfig(out=out, rounds=1, pictures=32, epochs=(1, 1), batch=16)
    pretrain(config)
    encoder = load_encoder(EncoderConfig(file=str(out)))
    assert {camera: part.labels for camera, part in encoder.networks.items()} == LABELS
    assert {camera: part.near for camera, part in encoder.networks.items()} == NEAR
    before = file_numbers(out)
    pretrain(replace(config, out=tmp_path / "on.safetensors", start=out, seed=1))
    after = file_numbers(tmp_path / "on.safetensors")
    assert 0.0 < np.abs(after - before).max() < 0.1
    with pytest.raises(EncoderError, match="cannot be read"):
        pretrain(replace(config, start=tmp_path / "none"))


def file_numbers(path: Path) -> np.ndarray:
    network = load_encoder(EncoderConfig(file=str(path))).networks["wrist"].network
    return torch.cat([p.flatten() for p in network.parameters()]).numpy()


def test_the_shipped_encoder_is_small() -> None:
    assert SHIPPED.stat().st_size <= 5_000_000


def test_the_shipped_encoder_sees(studio: Studio) -> None:
    networks = load_encoder(EncoderConfig()).networks
    # In the cube's scene the hand also goes far up and back, where one view tells its distance badly.
    for number, (config, thing, hand) in enumerate(((CUBE, "cube", 25.0), (PEG, "hole", 10.0))):
        pictures = studio.draw(60, 10 + number, config, 0.3)
        wrist = errors("wrist", head(networks["wrist"], pictures.images["wrist"]), pictures, 0.05)
        side = errors("side", head(networks["side"], pictures.images["side"]), pictures, 0.05)
        assert wrist[f"near {thing} xy mm"]["median"] < 3.0
        assert wrist[f"near {thing} yaw degrees"]["median"] < 4.0
        assert side[f"{thing} mm"]["median"] < 15.0
        assert side["tcp mm"]["median"] < hand


def test_the_shipped_encoders_features_carry_its_labels(studio: Studio) -> None:
    encoder = load_encoder(EncoderConfig())
    image = studio.draw(1, 20, CUBE, 0.0).images["wrist"]
    part = encoder.networks["wrist"]
    told = head(part, image)[0]
    features = encoder.encode({"wrist": StampedImage(0, image[0])})["wrist"].centre.astype(float)
    raw = features * part.deviation.numpy() + part.mean.numpy()
    first = 256 - len(WRIST) - NEAR["wrist"]
    assert np.allclose(raw[first : first + len(WRIST)], told, atol=0.02)


def test_results_of_the_pretraining_are_those_of_the_shipped_file() -> None:
    file = Path(__file__).parents[2] / "benchmarks" / "results" / "encoder.json"
    result = json.loads(file.read_text())
    assert result["encoder"] == EncoderConfig().digest
