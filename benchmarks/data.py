"""What it costs to encode, journal and log a step: CPU time per call, median over rounds.

The transition is that of the picking task: 24 floats of state, 5 actions. A step of the in-process loop logs
seven messages of arm state and one transition. rosbags' own writer logs the same messages in the same run,
taking turns; it does not flush before its end, and so keeps nothing of a killed process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import report
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import ArmState, Episode, Key, Mode, Pose, Source, StampedPose, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import EpisodeLog, read_raw
from robot_rl.data.journal import Journal, read_journal
from robot_rl.data.messages import typestore
from robot_rl.data.recorder import EpisodeRecorder

ARRAYS = {"tcp": 3, "twist": 6, "cube": 3, "yaw": 2, "gripper": 3, "target": 4, "hold": 1, "lag": 2}
SPEC = EnvSpec(Spec.of({n: ArraySpec((k,)) for n, k in ARRAYS.items()}), ArraySpec((5,)), 10.0, "bench")
CODEC = TransitionCodec(SPEC)
PERIOD = 100_000_000
Turn = Callable[[int], float]
"""Does n calls and returns the CPU time of one [us]."""


def transition(sequence: int) -> Transition:
    """A transition of the picking task's size."""
    rng = np.random.default_rng(sequence)
    observation = {n: rng.random(k, np.float32) for n, k in ARRAYS.items()}
    action = rng.random(5, np.float32)
    return Transition(
        key=Key("actor", 0, sequence),
        episode=0,
        step=sequence,
        observation=observation,
        action=action,
        proposal=action,
        reward=0.0,
        penalty=0.0,
        terminated=False,
        truncated=False,
        next_observation=observation,
        source=Source.POLICY,
        policy_version=1,
        stamp=sequence * PERIOD,
    )


def encode(count: int) -> float:
    """One transition to bytes."""
    one = [transition(0)]
    return _timed(count, lambda _: CODEC.encode(one))


def decode(count: int) -> float:
    """Bytes to one transition."""
    message = CODEC.encode([transition(0)])
    return _timed(count, lambda _: CODEC.decode(message))


def journal(count: int) -> float:
    """Append and commit one transition, as the learner does in lockstep."""
    made = [transition(i) for i in range(count)]
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal", SPEC) as target:

        def call(i: int) -> None:
            target.append(made[i])
            target.commit()

        return _timed(count, call)


def replay(count: int) -> float:
    """Read one transition back from the journal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        with Journal(path, SPEC) as target:
            for i in range(count):
                target.append(transition(i))
        began = time.process_time()
        found = sum(1 for _ in read_journal(path))
        return 1e6 * (time.process_time() - began) / found


def log_step(count: int) -> float:
    """Log the arm's state and the transition of one step, the file's start and end included."""
    made = [transition(i) for i in range(count)]
    pose = Pose(np.array([0.4, 0.0, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
    seven, six = np.arange(7.0), np.arange(6.0)
    with tempfile.TemporaryDirectory() as folder:
        recorder = EpisodeRecorder(Path(folder), SPEC)
        recorder.begin(Episode(0, 0, Mode.TRAIN))

        def call(i: int) -> None:
            stamp = i * PERIOD
            state = ArmState(stamp, seven, seven, pose, six, six, 0.08, False, pose)
            recorder.state(state, {"cube": StampedPose(stamp, pose)})
            recorder.transition(made[i])
            if i == count - 1:
                recorder.close()

        return _timed(count, call)


def log_episode(count: int) -> float:
    """Open and complete the log of an episode of one step."""
    pose = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    state = ArmState(0, np.zeros(7), np.zeros(7), pose, np.zeros(6), np.zeros(6), 0.0, False, pose)
    made = transition(0)
    with tempfile.TemporaryDirectory() as folder:
        recorder = EpisodeRecorder(Path(folder), SPEC)

        def call(i: int) -> None:
            recorder.begin(Episode(i, 0, Mode.TRAIN))
            recorder.state(state, {"cube": StampedPose(0, pose)})
            recorder.transition(made)
            recorder.close()

        return _timed(max(count // 100, 1), call)


def _messages() -> list[tuple[str, str, bytes]]:
    """The messages of one logged step."""
    with tempfile.TemporaryDirectory() as folder:
        pose = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        with EpisodeRecorder(Path(folder), SPEC) as recorder:
            recorder.begin(Episode(0, 0, Mode.TRAIN))
            state = ArmState(0, np.zeros(7), np.zeros(7), pose, np.zeros(6), np.zeros(6), 0.0, False, pose)
            recorder.state(state, {"cube": StampedPose(0, pose)})
            recorder.transition(transition(0))
        return [(m.topic, m.msgtype, m.data) for m in read_raw(Path(folder) / "000000.mcap")]


def write_ours(count: int) -> float:
    """Log the ready messages of one step with `EpisodeLog`."""
    step = _messages()
    with tempfile.TemporaryDirectory() as folder:
        log = EpisodeLog(Path(folder) / "a.mcap", SPEC, Episode(0, 0, Mode.TRAIN))

        def call(i: int) -> None:
            for topic, msgtype, data in step:
                log.write(topic, msgtype, data, i * PERIOD)
            if i == count - 1:
                log.close()

        return _timed(count, call)


def write_rosbags(count: int) -> float:
    """The same with rosbags' writer, compressed alike."""
    step = _messages()
    with tempfile.TemporaryDirectory() as folder:
        bag = Writer(Path(folder) / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
        bag.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        bag.open()
        connections = [bag.add_connection(topic, kind, typestore=typestore()) for topic, kind, _ in step]

        def call(i: int) -> None:
            for connection, (_, _, data) in zip(connections, step, strict=True):
                bag.write(connection, i * PERIOD, data)
            if i == count - 1:
                bag.close()

        return _timed(count, call)


def _timed(count: int, call: Callable[[int], object]) -> float:
    began = time.process_time()
    for i in range(count):
        call(i)
    return 1e6 * (time.process_time() - began) / count


CASES: dict[str, tuple[Turn, float | None, Turn | None]] = {
    "encode a transition": (encode, 30.0, None),
    "decode a transition": (decode, 30.0, None),
    "journal a transition": (journal, 100.0, None),
    "replay a transition": (replay, 100.0, None),
    "log a step": (log_step, 300.0, None),
    "begin and end a log": (log_episode, 5000.0, None),
    "write its 8 messages": (write_ours, None, write_rosbags),
}
"""Name to our turn, the target [us] and the peer's turn."""


def measure(rounds: int, count: int) -> list[report.Result]:
    """Medians over the rounds, in which all cases take turns."""
    ours: dict[str, list[float]] = {name: [] for name in CASES}
    peers: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, (turn, _, peer) in CASES.items():
            ours[name].append(turn(count))
            if peer is not None:
                peers[name].append(peer(count))
    results = []
    for name, (_, target, peer) in CASES.items():
        value = statistics.median(ours[name])
        peer_value = statistics.median(peers[name]) if peer is not None else None
        results.append(
            report.result(
                name,
                round(value, 2),
                "us",
                "lower",
                target,
                "rosbags" if peer_value is not None else None,
                round(peer_value, 2) if peer_value is not None else None,
            )
        )
    return results


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """Measure for as long as was asked for."""
    return measure(3, 500) if arguments.quick else measure(9, 3000)


if __name__ == "__main__":
    sys.exit(report.main("data", __doc__, run))
