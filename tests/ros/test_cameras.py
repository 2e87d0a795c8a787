"""Seen through cameras, a task is the same in the graph as in one process; crashes do not end it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.core.types import Mode, StampedImage, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, read, read_info
from robot_rl.data.json_messages import Intervention, decode
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.nodes.convert import nanoseconds_of
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.supervisor import GraphError
from robot_rl.perception.classifier import WEIGHTS, ClassifierFacts, RewardClassifier
from robot_rl.perception.encoder import load_encoder
from robot_rl.tasks.arm import ArmTaskConfig
from tests.ros.graphs import PIXELS, pixels, running
from tests.ros.test_identity import play_in_process
from tests.unit.data_samples import assert_same


def judged(folder: Path, **changes: Any) -> ArmTaskConfig:
    """Settings with a reward classifier, whose weights are random."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (2, 512, 8), "b1": (2, 8), "w2": (2, 8, 1), "b2": (2, 1)}
    weights = {name: rng.normal(0.0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    config = pixels(reward="classifier", classifier__directory=str(folder), **changes)
    facts = ClassifierFacts(config.encoder.digest, config.cameras, 1, 0.99, 5, 2, (30,), (60,))
    RewardClassifier(weights, facts, rng.normal(size=(40, 512)).astype(np.float16)).save(folder)
    return config


def test_the_graph_sees_what_one_process_sees(tmp_path: Path) -> None:
    """Bit for bit, and in the logs: with crops, other looks, and a classifier that learns from practice."""
    changes: dict[str, Any] = {"encoder__crops": 2, "look": 0.3, "distractors": 1, "classifier__vice": True}
    config = judged(tmp_path / "classifier", session__evaluation_episodes=1, **changes)
    with running(tmp_path / "run", config, PIXELS, policy="random", seed=3) as graph:
        graph.run()
    other = judged(tmp_path / "other", session__evaluation_episodes=1, **changes)
    expected, _ = play_in_process(other, 3)
    trained = RewardClassifier.load(tmp_path / "classifier")
    learned = [(tmp_path / name / "vice" / WEIGHTS).read_bytes() for name in ("classifier", "other")]
    assert learned[0] == learned[1]
    changed = []

    codec, encoder = TransitionCodec(config.spec), load_encoder(config.encoder, config.cameras)
    recorded: list[Transition] = []
    encoded: dict[tuple[str, int], Any] = {}
    for log in sorted((tmp_path / "run" / "episodes").glob("*.mcap")):
        pictures: dict[tuple[str, int], Any] = {}
        features, probabilities, infos, states = {}, {}, [], set()
        for topic, _, _, message in read(log):
            if topic == TRANSITIONS_TOPIC:
                recorded += codec.decode(message.data)
            elif topic == "arm/pose":
                states.add(nanoseconds_of(message.header.stamp))
            elif topic == SUCCESS_PROBABILITY_TOPIC:
                probabilities[nanoseconds_of(message.header.stamp)] = list(message.position)
            elif topic.endswith("camera_info"):
                infos.append(topic)
            elif topic.endswith("image_raw"):
                image = message.data.reshape(message.height, message.width, 3).copy()
                camera, stamp = topic.removesuffix("/image_raw"), nanoseconds_of(message.header.stamp)
                assert (camera, stamp) not in pictures
                pictures[camera, stamp] = image
                features[camera, stamp] = encoder.encode({camera: StampedImage(stamp, image)})[camera]
        assert sorted(infos) == ["side/camera_info", "wrist/camera_info"]
        assert set(pictures) == {(camera, stamp) for camera in config.cameras for stamp in states}
        assert probabilities.keys() == states
        first = {stamp: trained({c: features[c, stamp] for c in config.cameras}) for stamp in states}
        changed.append(any(probabilities[stamp] != list(first[stamp]) for stamp in states))
        encoded |= features
    # An episode's last transition may arrive when the next one has begun, and lie in that one's log.
    for transition in recorded:
        for camera in config.cameras:
            seen, after = encoded[camera, transition.stamp], transition.next_observation
            np.testing.assert_array_equal(after[f"{camera}.features"], seen.centre)
            np.testing.assert_array_equal(after[f"{camera}.crops"], seen.crops)
    assert not changed[0]
    assert changed[-1]
    assert len(recorded) == len(expected) > 50
    for ours, theirs in zip(recorded, expected, strict=True):
        assert_same(ours, theirs)


def test_a_trainable_encoder_gets_the_pictures(tmp_path: Path) -> None:
    """They are the camera's own, and no perception process is started for them."""
    config = pixels(
        encoder__kind="trainable", goal__time_limit=1.0, learner__demonstrations=0, session__max_steps=10
    )
    with running(tmp_path / "run", config, PIXELS, policy="random") as graph:
        assert "perception" not in graph.supervisor.processes
        graph.run()
    codec, pictures, own = TransitionCodec(config.spec), {}, []
    (log,) = (tmp_path / "run" / "episodes").glob("*.mcap")
    for topic, _, _, message in read(log, {TRANSITIONS_TOPIC, "wrist/image_raw"}):
        if topic == TRANSITIONS_TOPIC:
            own += codec.decode(message.data)
        else:
            pictures[nanoseconds_of(message.header.stamp)] = message.data
    assert len(own) == 10
    for transition in own:
        seen = transition.next_observation["wrist.image"]
        np.testing.assert_array_equal(seen.reshape(-1), pictures[transition.stamp])


def test_labels_are_recorded_with_pictures(tmp_path: Path) -> None:
    config = pixels(
        reward="person", learner__demonstrations=0, session__label_episodes=2, session__max_steps=0
    )
    with running(tmp_path / "run", config, PIXELS, policy="hold") as graph:
        graph.run()
    logs = sorted((tmp_path / "run" / "episodes").glob("*.mcap"))
    assert [read_info(log).episode.mode for log in logs] == [Mode.LABEL, Mode.LABEL]
    for log in logs:
        labelled, pictured = {}, set()
        for topic, _, _, message in read(log, {"intervention/event", "wrist/image_raw"}):
            if topic == "wrist/image_raw":
                pictured.add(nanoseconds_of(message.header.stamp))
            else:
                event = decode(Intervention, message.data)
                labelled[event.stamp] = event.label
        assert set(labelled) == pictured
        assert set(labelled.values()) <= {-1, 0, 1}
        assert max(labelled.values()) >= 0


def test_killed_cameras_and_encoder_come_back(tmp_path: Path) -> None:
    config = pixels(learner__demonstrations=0, session__max_steps=100)
    with running(tmp_path / "run", config, PIXELS, policy="random", record=False) as graph:
        pids = {name: graph.pid(name) for name in ("cameras", "perception")}
        for episodes, name in enumerate(pids):
            graph.wait(lambda e=episodes: len(list(read_results(graph.out / "results.jsonl"))) > e)
            graph.kill(name, signal.SIGKILL)
        graph.run()
        assert all(graph.pid(name) != pid for name, pid in pids.items())
    results = list(read_results(graph.out / "results.jsonl"))
    assert sum(r.steps for r in results if r.episode.mode is Mode.TRAIN) >= 100


@pytest.mark.parametrize(
    ("stopped", "named"),
    [
        ("cameras", "waited 3 s for .*/features.* from the camera process"),
        ("perception", "waited 3 s for .*/features.* from the perception process"),
    ],
)
def test_who_does_not_deliver_is_named(tmp_path: Path, stopped: str, named: str) -> None:
    config = pixels(session__max_steps=100_000)
    impatient = {"actor": {"stall_timeout": 3.0}}
    with running(
        tmp_path / "run", config, PIXELS, policy="random", record=False, parameters=impatient
    ) as graph:
        graph.wait(lambda: (graph.out / "results.jsonl").exists())
        graph.kill(stopped, signal.SIGSTOP)
        with pytest.raises(GraphError, match=named):
            graph.run()
        graph.kill(stopped, signal.SIGCONT)


def test_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    config, other = pixels(), pixels(encoder__seed=1)
    another = {"perception": {"encoder.seed": 1}}
    with running(
        tmp_path / "run", config, PIXELS, policy="random", record=False, parameters=another
    ) as graph:
        match = f"come from encoder {other.encoder.digest}.*set up for {config.encoder.digest}"
        with pytest.raises(GraphError, match=match):
            graph.run()


def test_on_the_real_clock_frames_come_at_the_camera_rate(tmp_path: Path) -> None:
    """Each shows a state of the robot and has its stamp; the classifier follows."""
    config = judged(
        tmp_path / "classifier",
        goal__time_limit=1.5,
        learner__demonstrations=0,
        session__max_steps=20,
        max_object_age=5.0,
    )
    with running(tmp_path / "run", config, PIXELS, policy="hold", clock="realtime") as graph:
        graph.run()
    assert "held" not in graph.log("actor")
    for log in sorted((tmp_path / "run" / "episodes").glob("*.mcap")):
        stamps: dict[str, list[int]] = {"arm/pose": [], "wrist/image_raw": [], SUCCESS_PROBABILITY_TOPIC: []}
        for topic, _, _, message in read(log, stamps.keys()):
            stamps[topic].append(nanoseconds_of(message.header.stamp))
        pictured = stamps["wrist/image_raw"]
        assert len(pictured) > 3
        assert len(set(pictured)) == len(pictured) < len(stamps["arm/pose"])
        assert set(pictured) <= set(stamps["arm/pose"])
        assert set(stamps[SUCCESS_PROBABILITY_TOPIC]) & set(pictured)
