"""What goes wrong in a graph ends in a clear message, in a held robot, or in going on as before."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import String, UInt8MultiArray

from policies.bundle import load_bundle
from robot_rl.core.types import ArmCommand, Mode, Pose
from robot_rl.data.codec import TransitionCodec, Weights, encode_weights
from robot_rl.data.episode_log import read_info, read_raw
from robot_rl.data.journal import read_journal
from robot_rl.env.session import Session
from robot_rl.nodes import convert
from robot_rl.nodes.exit_status import USER_ERROR
from robot_rl.nodes.messages import EpisodeRequest
from robot_rl.nodes.qos import TRANSITIONS, WEIGHTS
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL
from robot_rl.nodes.supervisor import GraphError
from tests.ros.graphs import PATIENCE, Graph, reach, running
from tests.ros.probe import Probe, probing
from tests.unit.data_samples import transition


def assert_nothing_lost_or_twice(graph: Graph) -> dict[tuple[str, int], int]:
    """The journal holds every run's transitions from 0 on without a gap; return how many of each."""
    keys = [t.key for t in read_journal(graph.out / JOURNAL)]
    counts = {}
    for run, group in groupby(sorted(keys), key=lambda k: (k.actor, k.run)):
        sequences = [k.sequence for k in group]
        assert sequences == list(range(len(sequences)))
        counts[run] = len(sequences)
    return counts


def practised(graph: Graph) -> int:
    """Practice episodes that are finished."""
    return sum(r.episode.mode is Mode.TRAIN for r in read_results(graph.out / "results.jsonl"))


# The learner and the actor are killed.


def test_a_killed_learner_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The weights at the end are those of a training in one process that nobody disturbed."""
    from robot_rl.learn.learner import Learner
    from robot_rl.learn.train import train

    config = reach(session__max_steps=80, session__evaluation_episodes=0, session__final_episodes=0)
    quick = {"learner": {"checkpoint_every": 3}}
    with running(tmp_path / "run", config, record=False, parameters=quick) as graph:
        graph.wait(lambda: practised(graph) >= 2 and (graph.out / "checkpoints" / "checkpoint.json").exists())
        first = graph.pid("learner")
        graph.kill("learner", signal.SIGKILL)
        graph.run()
        assert graph.pid("learner") != first
        went_on = re.search(r"went on from version (\d+) with (\d+) transitions", graph.log("learner"))
        assert went_on is not None
        assert int(went_on[1]) >= 3
        counts = assert_nothing_lost_or_twice(graph)

    env, arm = config.simulate()
    learner = Learner(env.spec, config.learner, 0)
    train(env, arm, Session(config.session, 0, 1), learner)
    env.close()
    assert counts == {("actor", 0): learner.received}
    bundle = load_bundle(tmp_path / "run" / "policy", env.spec)
    assert bundle.version == learner.version
    for name, array in learner.weights().items():
        np.testing.assert_array_equal(bundle.weights[name], array)


def test_a_killed_actor_goes_on_with_the_session(tmp_path: Path) -> None:
    config = reach(session__max_steps=80, session__evaluation_episodes=1, session__final_episodes=1)
    with running(tmp_path / "run", config, record=False) as graph:
        graph.wait(lambda: practised(graph) >= 2)
        graph.kill("actor", signal.SIGKILL)
        graph.run()
        counts = assert_nothing_lost_or_twice(graph)
    finished = list(read_results(graph.out / "results.jsonl"))
    assert [r.episode.index for r in finished] == list(range(len(finished)))
    steps = sum(r.steps for r in finished if r.episode.mode is Mode.TRAIN)
    assert steps >= 80
    assert set(counts) == {("actor", 0), ("actor", 1)}
    # What the killed run had sent of its last episode was learned from, and is not played again.
    demonstrated = sum(r.steps for r in finished if r.episode.mode is Mode.DEMO and r.success)
    assert steps + demonstrated <= sum(counts.values()) < steps + demonstrated + 20
    assert (graph.out / "summary.json").exists()


def is_whole(log: Path) -> bool:
    """Whether a log has the result of its episode and all kinds of messages."""
    if read_info(log, tolerant=True).result is None:
        return False
    return {m.topic for m in read_raw(log)} >= {"arm/pose", "sync/tick", "learner/transitions"}


def test_a_killed_recorder_leaves_readable_logs(tmp_path: Path) -> None:
    """Also the file that it was writing; the recorder that is started again goes on with the next."""
    config = reach(session__max_steps=100_000)
    with running(tmp_path / "run", config, policy="random") as graph:

        def logs() -> list[Path]:
            # Empty ones are names that it had reserved when it was killed, which readers pass over.
            found = (graph.out / "episodes").glob("*.mcap")
            return sorted(path for path in found if path.stat().st_size)

        graph.wait(lambda: len(logs()) >= 3)
        graph.kill("recorder", signal.SIGKILL)
        before = len(logs())
        graph.wait(lambda: any(is_whole(log) for log in logs()[before:]))
    assert all(read_info(log).complete for log in logs())


# Signals.


UP = """
import sys
from pathlib import Path
from robot_rl.nodes.supervisor import run_graph
from robot_rl.nodes.table import GraphOptions
from tests.ros.graphs import reach
config = reach(session__max_steps=100_000)
done = run_graph(GraphOptions(task="franka_reach", out=sys.argv[1]), config)
sys.exit(0 if done else 130)
"""


def processes_of(supervisor: int) -> list[str]:
    """Command lines of the processes that a supervisor has started and that are still there."""
    mark = f"ROBOT_RL_SUPERVISOR={supervisor}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return found


@pytest.mark.parametrize("moment", range(6))
def test_a_signal_at_any_moment_leaves_nothing(tmp_path: Path, moment: int) -> None:
    """At random moments of start and training; the fixture of all ROS tests looks into /dev/shm."""
    up = subprocess.Popen([sys.executable, "-c", UP, str(tmp_path / "run")], stderr=subprocess.PIPE)
    robot_log = tmp_path / "run" / "logs" / "robot.log"
    deadline = time.monotonic() + PATIENCE
    while not robot_log.exists():  # the supervisor has taken over the signals
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.Random(moment).uniform(0.0, [0.2, 1.0, 2.0, 4.0, 6.0, 8.0][moment]))
    up.send_signal(signal.SIGINT)
    _, errors = up.communicate(timeout=PATIENCE)
    assert up.returncode == 130
    assert b"Traceback" not in errors
    assert processes_of(up.pid) == []
    for log in (tmp_path / "run" / "logs").glob("*.log"):
        assert "Traceback" not in log.read_text(), log.read_text()


def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path) -> None:
    up = subprocess.Popen([sys.executable, "-c", UP, str(tmp_path / "run")])
    results = tmp_path / "run" / "results.jsonl"
    deadline = time.monotonic() + PATIENCE
    while not results.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    up.kill()
    up.wait()
    while processes_of(up.pid):
        assert time.monotonic() < deadline, processes_of(up.pid)
        time.sleep(0.02)


# Peers that stall, and sensors that go stale.


def run_actor(tmp_path: Path, only: tuple[str, ...], **parameters) -> str:
    """Run a graph that the actor gives up on; return what it said."""
    with (
        running(
            tmp_path / "run",
            reach(),
            only=(*only, "actor"),
            policy=parameters.pop("policy", "random"),
            parameters={"actor": {"stall_timeout": 1.0, "learner_timeout": 1.0, **parameters}},
        ) as graph,
        pytest.raises(GraphError, match="actor ended with status 2"),
    ):
        graph.run()
    assert "Traceback" not in graph.log("actor")
    return graph.log("actor")


def test_a_missing_robot_is_named(tmp_path: Path) -> None:
    assert "waited 1 s for sync/tick from the robot's process" in run_actor(tmp_path, ())


def test_a_missing_person_is_named(tmp_path: Path) -> None:
    said = run_actor(tmp_path, ("robot",))
    assert "waited 1 s for intervention/twist and intervention/event from the intervention node" in said


def test_a_missing_learner_is_named(tmp_path: Path) -> None:
    said = run_actor(tmp_path, ("robot", "intervention"), policy="learner")
    assert "waited 1 s for learner/state from the learner" in said


def test_a_robot_that_stalls_in_mid_episode_is_named(tmp_path: Path) -> None:
    config = reach(session__max_steps=100_000)
    impatient = {"actor": {"stall_timeout": 3.0}}
    with running(tmp_path / "run", config, policy="random", record=False, parameters=impatient) as graph:
        graph.wait(lambda: (graph.out / "results.jsonl").exists())
        graph.kill("robot", signal.SIGSTOP)
        with pytest.raises(GraphError, match="from the robot's process"):
            graph.run()
        graph.kill("robot", signal.SIGCONT)


def test_a_stale_robot_is_not_acted_on(tmp_path: Path) -> None:
    """On the real clock the episode is given up; when the state comes again, the session goes on."""
    config = reach(session__max_steps=10, session__evaluation_episodes=0, session__final_episodes=0)
    with running(tmp_path / "run", config, policy="hold", person="scripted", clock="realtime") as graph:
        graph.wait(lambda: "practice, 0 practice steps" in graph.log("actor"))
        time.sleep(0.7)  # into the episode of 2 s: a robot that stops at a reset is another fault
        graph.kill("robot", signal.SIGSTOP)
        graph.wait(lambda: "no new state from the robot's process" in graph.log("actor"))
        graph.kill("robot", signal.SIGCONT)
        graph.run()
    assert "no command is sent, and the arm holds" in graph.log("actor")
    assert (graph.out / "summary.json").exists()


@pytest.mark.parametrize("recover", [False, True])
def test_a_stopped_arm_is_held_until_a_person_clears_it(tmp_path: Path, recover: bool) -> None:
    """The simulator's stand-in for the person clears other faults, but no emergency stop."""
    config = reach(session__max_steps=100_000)
    alone = {"actor": {"recover": recover}}
    with (
        running(tmp_path / "run", config, policy="random", record=False, parameters=alone) as graph,
        probing(graph) as probe,
    ):
        results = graph.out / "results.jsonl"
        graph.wait(results.exists)
        assert probe.call("safety/e_stop").success
        graph.wait(lambda: "clear it (service safety/clear_fault)" in graph.log("actor"))
        finished = len(list(read_results(results)))
        time.sleep(0.5)
        assert len(list(read_results(results))) <= finished + 1
        assert probe.call("safety/clear_fault").success
        graph.wait(lambda: len(list(read_results(results))) >= finished + 2)
        assert "emergency stop (service safety/e_stop)" in graph.log("actor")


# Bad values and bytes.


def send(probe: Probe, target, gripper, command: ArmCommand) -> None:
    pose, hand = convert.command_messages(command)
    target.publish(pose)
    gripper.publish(hand)


def test_a_target_that_is_no_number_holds_the_arm(tmp_path: Path) -> None:
    with running(tmp_path / "run", reach(), only=("robot",)) as graph, probing(graph) as probe:
        probe.listen("sync/tick", String)
        probe.listen("safety/state", String)
        probe.listen("arm/pose", PoseStamped)
        target = probe.publisher("arm/target_pose", PoseStamped)
        gripper = probe.publisher("gripper/command", JointState)
        request = probe.publisher("episode/command", String)
        request.publish(convert.json_message(EpisodeRequest("probe/1", 0, 5, "train")))
        probe.wait(lambda: (t := probe.tick()) is not None and t.request == "probe/1")
        start = probe.tick()
        assert start is not None
        here = convert.pose_from(probe.newest["arm/pose"]).pose

        bad = Pose(np.array([np.nan, 0.0, 0.3]), here.quaternion)
        send(probe, target, gripper, ArmCommand(start.stamp, bad, False))
        probe.wait(lambda: "not finite" in probe.fault())
        good = Pose(here.position + np.array([0.0, 0.0, 0.05]), here.quaternion)
        tick = probe.tick()
        assert tick is not None
        send(probe, target, gripper, ArmCommand(tick.stamp, good, False))
        for _ in range(20):
            probe.executor.spin_once(timeout_sec=0.05)
        assert "not finite" in probe.fault()
        held = convert.pose_from(probe.newest["arm/pose"]).pose
        np.testing.assert_allclose(held.position, here.position, atol=2e-3)

        cleared = probe.call("safety/clear_fault")
        assert cleared.success, cleared.message
        probe.wait(lambda: not probe.fault())


def test_damaged_commands_are_ignored(tmp_path: Path) -> None:
    with running(tmp_path / "run", reach(), only=("robot",)) as graph, probing(graph) as probe:
        probe.listen("sync/tick", String)
        gripper = probe.publisher("gripper/command", JointState)
        target = probe.publisher("arm/target_pose", PoseStamped)
        request = probe.publisher("episode/command", String)
        request.publish(String(data='{"v": 1, "request": "x"'))
        request.publish(convert.json_message(EpisodeRequest("probe/1", 0, 5, "trian")))
        request.publish(convert.json_message(EpisodeRequest("probe/2", 0, 5, "train")))
        probe.wait(lambda: (t := probe.tick()) is not None and t.request == "probe/2")
        tick = probe.tick()
        assert tick is not None
        message = JointState(header=convert.header(tick.stamp), name=["wheel"], position=[1.0])
        gripper.publish(message)
        target.publish(PoseStamped(header=convert.header(tick.stamp)))
        graph.wait(lambda: "gripper/command ignored" in graph.log("robot"))
        assert "episode/command ignored" in graph.log("robot")
        assert "did you mean 'train'" in graph.log("robot")


def test_damaged_bytes_change_nothing(tmp_path: Path) -> None:
    """Truncated transitions, one that holds no numbers, and weights of another codec version."""
    config = reach(session__max_steps=600, session__evaluation_episodes=0, session__final_episodes=0)
    with (
        running(tmp_path / "run", config, record=False) as graph,
        probing(graph) as probe,
    ):
        transitions = probe.publisher("learner/transitions", UInt8MultiArray, TRANSITIONS)
        weights = probe.publisher("policy/weights", UInt8MultiArray, WEIGHTS)
        whole = encode_weights(Weights(1, {"layers.0.bias": np.zeros(2, np.float32)}), config.spec)
        transitions.publish(convert.bytes_message(whole[:20]))
        nonsense = {n: np.full_like(v, np.nan) for n, v in config.spec.observation.zeros().items()}
        poison = transition(config.spec, 0, actor="probe", run=0, observation=nonsense)
        encoded = TransitionCodec(config.spec).encode([poison])
        transitions.publish(convert.bytes_message(encoded))
        weights.publish(convert.bytes_message(whole[:4] + b"\x63" + whole[5:]))
        weights.publish(convert.bytes_message(whole[:-3]))
        graph.wait(lambda: "policy/weights ignored" in graph.log("actor"))
        graph.wait(lambda: "learner/transitions ignored and not acknowledged" in graph.log("learner"))
        graph.wait(lambda: "is not finite and is not learned from" in graph.log("learner"))
        graph.run()
        assert assert_nothing_lost_or_twice(graph)["probe", 0] == 1
    assert "codec version 99" in graph.log("actor")
    assert "truncated" in graph.log("actor")
    assert "truncated" in graph.log("learner")


def test_a_learner_of_other_settings_is_refused(tmp_path: Path) -> None:
    other = {"learner": {"session.max_steps": 7, "arm.control_period": 0.15}}
    with (
        running(tmp_path / "run", reach(), record=False, parameters=other) as graph,
        pytest.raises(GraphError, match=r"start both with the same task and settings"),
    ):
        graph.run()
    assert "the learner works for spec" in graph.log("actor")
    assert "Traceback" not in graph.log("actor")
    assert "start both with the same task and settings" in graph.log("learner")


def test_an_unknown_parameter_names_the_nearest(tmp_path: Path) -> None:
    parameters = {"robot": {"arm.gains.stifness": 1.0}}
    with (
        running(tmp_path / "run", reach(), only=("robot",), parameters=parameters) as graph,
        pytest.raises(GraphError, match=r"unknown parameter 'arm.gains.stifness'.*'arm.gains.stiffness'"),
    ):
        graph.run()
    assert "Traceback" not in graph.log("robot")


def test_a_parameter_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "robot_rl.nodes.recorder", "--ros-args", "-p", "arm.gains.torque_rate:=7"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=dict(os.environ))
    assert done.returncode == USER_ERROR
    assert "recorder: arm.gains.torque_rate: expected a float, got the integer 7; write 7.0" in done.stderr
    assert "Traceback" not in done.stderr
