"""The actor: plays the session's episodes on the robot and hands their transitions to the learner.

It is the in-process training loop with other parts plugged in: the same `Session`, `EpisodeRunner` and
`RobotEnv`, on a robot, a person and a learner that live behind topics. The operator decides when it goes on
(`robot_rl.nodes.session_desk`). Run as
`python -m robot_rl.nodes.actor --ros-args -p task:=franka_pick_cube -p out:=runs/a`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import String, UInt8MultiArray

from robot_rl import tasks
from robot_rl.core.clock import Rate, SteadyClock
from robot_rl.core.errors import CodecError, RobotFaultError, StaleStateError
from robot_rl.core.types import Episode, EpisodeResult, Mode, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.env.runner import EpisodeRunner
from robot_rl.env.session import ATTEMPTS, Evaluation, Session
from robot_rl.nodes.announcer import Announcer
from robot_rl.nodes.convert import bytes_message, json_from, json_message
from robot_rl.nodes.episode_events import episode_event
from robot_rl.nodes.executor import Spinner, StopFlag, Stopped, collect_garbage_only_when_told, run
from robot_rl.nodes.fixed_policies import FixedPolicies, Policies, fixed_policy
from robot_rl.nodes.learner_link import LearnerLink
from robot_rl.nodes.messages import OperatorCommand, SessionState
from robot_rl.nodes.outbox import BATCH
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import STREAM, TRANSITIONS
from robot_rl.nodes.run_book import RunBook
from robot_rl.nodes.session_desk import SHOWN, SessionDesk
from robot_rl.nodes.standstill import Standstill
from robot_rl.nodes.topic_operator import TopicOperator
from robot_rl.nodes.topic_robot import TopicRobot, TopicTeleop, TopicTracker, TopicTruth
from robot_rl.nodes.topic_vision import TopicVision
from robot_rl.tasks.arm import ArmTaskConfig

RECORDER_TIMEOUT = 20.0
"""Longest wait for the recorder [s]."""


@dataclass(frozen=True)
class ActorSettings:
    """Settings of the actor beside the task's own."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    seed: int = 0
    """Seeds scenes, person and exploration."""
    out: str = "runs/graph"
    """Run directory."""
    clock: Literal["lockstep", "realtime"] = "lockstep"
    """Whether the graph goes tick by tick, or with the wall clock."""
    policy: str = "learner"
    """Who acts: "learner", "random", "hold", or the directory of a policy bundle."""
    person: Literal["scripted", "operator", "none"] = "scripted"
    """Who demonstrates and corrects; for "none" there is no intervention node."""
    with_recorder: bool = False
    """Whether there is a recorder, which the first episode waits for."""
    recover: bool = True
    """After a fault, ask the simulator to stand in for the person who guides the arm home and clears it. On a
    robot there is no such service: set this to False, and the actor waits until the fault is cleared."""
    name: str = "actor"
    """Name of this actor, part of the key of every transition."""
    stall_timeout: float = 30.0
    """In lockstep, silence of robot or person that ends in an error [s]."""
    learner_timeout: float = 180.0
    """In lockstep, silence of the learner that ends in an error [s]; it may compile or restart. Cameras and
    encoder have as long to start."""
    max_state_age: float = 0.2
    """On the real clock, age of the newest state that is too old to act on [s]."""


class Actor:
    """Runs a session on the graph, from where the last run of this actor left it."""

    def __init__(self, node: Node, spinner: Spinner, settings: ActorSettings, config: ArmTaskConfig) -> None:
        self.node = node
        self.spinner = spinner
        self.settings = settings
        self.config = config
        out = Path(settings.out)
        self.book = RunBook(out, settings.name, settings.task, settings.seed, config)
        run = self.book.run
        self.lockstep = settings.clock == "lockstep"
        self.operated = settings.person == "operator"
        self.session = self._restored_session()
        self.desk = SessionDesk(self.session, self.operated, self._can_show(), restarted=run > 0)
        self.review: EpisodeResult | None = None
        """Of the last episode, while the operator can take it back."""

        rate = None if self.lockstep else Rate(SteadyClock(), config.control_rate)
        self.robot = TopicRobot(
            node,
            spinner,
            config.objects,
            f"{settings.name}/{run}",
            settings.stall_timeout,
            rate,
            settings.max_state_age,
        )
        self.operator = TopicOperator(self.robot) if self.operated else None
        scripted = TopicTeleop(self.robot) if settings.person == "scripted" else None
        self.vision = TopicVision(self.robot, config) if config.cameras else None
        self.env = config.make_env(
            self.robot, TopicTracker(self.robot), self.operator or scripted, self.vision
        )
        introduction = SessionState(settings.name, run, self.env.spec.digest, "", 0)
        self.announcer = Announcer(node, introduction, self.session, self.desk, out)
        self.standstill = Standstill(
            node, self.robot, self.desk, self.announcer, settings.recover, settings.stall_timeout
        )
        self._codec = TransitionCodec(self.env.spec)
        self._reviewed = node.create_publisher(UInt8MultiArray, "episode/transitions", TRANSITIONS)
        self.link: LearnerLink | None = None
        self.policies: Policies
        if settings.policy == "learner":
            self.link = LearnerLink(
                node,
                spinner,
                self.env.spec,
                self.announcer,
                config.learner.block,
                settings.learner_timeout if self.lockstep else None,
            )
            self.policies = self.link.policies
            self.robot.before_wait = self.link.outbox.flush
        else:
            self.policies = FixedPolicies(fixed_policy(settings.policy, self.env.spec))
            self._log = node.create_publisher(UInt8MultiArray, "learner/transitions", TRANSITIONS)
        self.runner = EpisodeRunner(
            self.env, self._on_transition, TopicTruth(self.robot), actor=settings.name, run=run
        )
        node.create_subscription(String, "operator/command", self._on_command, STREAM)

    def _restored_session(self) -> Session:
        """The session as the earlier runs left it: it has seen the results of their episodes."""
        attempts = None if self.operated else ATTEMPTS
        session = Session(
            self.config.session, self.settings.seed, self.config.learner.demonstrations, attempts=attempts
        )
        self.book.restore(session)
        session.on_evaluation = self._on_evaluation
        return session

    def _can_show(self) -> tuple[Mode, ...]:
        """What the person can be asked to show."""
        if self.settings.person == "none":
            return ()
        labels = bool(self.config.cameras) and (self.operated or self.config.show() is not None)
        return SHOWN if labels else (Mode.DEMO,)

    def _on_command(self, message: String) -> None:
        try:
            command = json_from(OperatorCommand, message)
        except CodecError as error:
            self.node.get_logger().error(f"operator/command ignored: {error}")
            return
        refusal = self.desk.tell(command)
        if refusal:
            self.node.get_logger().warning(f"{command.command} of {command.who} changes nothing: {refusal}")
        else:
            self.node.get_logger().info(f"{command.command}, says {command.who}")

    def _on_transition(self, transition: Transition) -> None:
        if self.link is not None:
            self.link.add(transition)
        else:  # nobody learns, but the recorder listens
            self._log.publish(bytes_message(self._codec.encode([transition])))

    def play(self) -> None:
        """Run the session to its end and write the summary."""
        if self.link is not None:
            self.link.start()
        if self.vision is not None:
            self.vision.wait_for_peers(self.settings.learner_timeout)
        if self.settings.with_recorder:
            self._wait_for_recorder()
        if not self.lockstep:
            self.book.directory.open_board()
            collect_garbage_only_when_told()
        try:
            while (episode := self._next_episode()) is not None:
                self._play_next(episode)
        except Stopped:
            if self.link is None:
                self._accept()
            elif self.review is not None:  # the learner ends too, and would not get it any more
                index = self.review.episode.index
                self.node.get_logger().warning(
                    f"episode {index} was still under review: its log stays, but nothing was learned from it"
                )
            raise
        if self.link is not None:
            self.link.finish()
        else:
            self.announcer.say("done")
        self._write_summary()
        self._say("done")
        self.robot.events.wait_for_all_acked(Duration(seconds=1))

    def _next_episode(self) -> Episode | None:
        """The episode to play now; waits for the operator where she decides that it begins."""
        since = time.monotonic()
        waited = False
        while True:
            episode = self.session.next_episode()
            if self.desk.may_begin(episode.mode if episode is not None else None):
                break
            self.announcer.tell()
            self.robot.before_wait()
            self.spinner.spin_once()
            if self.desk.take_undo():
                self._take_back()
            if fault := self.robot.sensors.fault:
                self.standstill.until_cleared(RobotFaultError(fault))
            waited = True
        self._accept()
        if waited:
            self.book.seconds["waiting"] += time.monotonic() - since
        return episode

    def _play_next(self, episode: Episode) -> None:
        """Play an episode and take its result down, unless it has to be played again."""
        phase, since = self.session.phase, time.monotonic()
        self.book.begin_phase(phase)
        if phase != self.announcer.phase:
            self.announcer.phase = phase
            self._say(phase)
        self.desk.begin(episode)
        self.announcer.tell()
        result = self._play_one(episode)
        if result is not None:
            own = self.session.phase_of(episode.mode)
            self.session.add(result)
            if self.desk.take_undo():
                self.review = result
                self._take_back()
            elif self.operated and self._can_be_reviewed(result):
                self.review, self.desk.undo = result, episode.index
            else:
                self._take_down(own, result)
        self.book.seconds[phase] += time.monotonic() - since

    def _can_be_reviewed(self, result: EpisodeResult) -> bool:
        """Whether the operator can take an episode back: a failed demonstration teaches nothing anyway."""
        mode = result.episode.mode
        return mode is Mode.LABEL or (mode is Mode.DEMO and result.success)

    def _accept(self) -> None:
        """Take down, and learn from, the episode that can be taken back no longer."""
        if self.review is not None:
            self._take_down(self.session.phase_of(self.review.episode.mode), self.review)
            self.runner.release()
            self.review = None

    def _take_back(self) -> None:
        """Undo the last episode: it teaches nothing, and its log is put aside."""
        result, self.review = self.review, None
        if result is None:
            return
        self.session.take_back(result)
        self.runner.discard()
        self._end_event(result.episode, "undo", result)
        self.node.get_logger().info(f"episode {result.episode.index} is taken back")

    def _take_down(self, phase: str, result: EpisodeResult) -> None:
        """Make a result last."""
        learner = self.link.metrics if self.link is not None else {}
        self.book.add_result(phase, result, self.session.practice_steps, learner)

    def _wait_for_recorder(self) -> None:
        """Let the recorder hear the first episode from its start; go on without it when it is late."""
        deadline = time.monotonic() + RECORDER_TIMEOUT
        while not self._reviewed.get_subscription_count():  # only the recorder's, when it hears the robot
            if time.monotonic() > deadline:
                self.node.get_logger().warning("there is no recorder: the first episodes may not be logged")
                return
            self.spinner.spin_once()

    def _play_one(self, episode: Episode) -> EpisodeResult | None:
        """Play an episode; None when it was given up and has to be played again."""
        evaluation = episode.mode is Mode.EVAL
        try:
            if evaluation:
                self.policies.settle()
            deterministic = evaluation and self.config.session.deterministic_evaluation
            result = self.runner.run(
                episode,
                lambda: self.policies.due(episode.mode),
                deterministic,
                interrupted=self.desk.interrupts,
                review=self.operated,
            )
        except RobotFaultError as error:  # at the reset
            self._give_up(episode, error.reason)
            self.standstill.until_cleared(error)
            return None
        except StaleStateError as error:
            self._give_up(episode, str(error))
            if self.lockstep:
                raise
            self.standstill.until_fresh(error, self._sees)
            return None
        cut, command = self.runner.cut, self.desk.interrupted_by
        repeated = episode.mode in (Mode.EVAL, Mode.LABEL) and command != "undo"
        if cut and (repeated or result.steps == 0):
            self._give_up(episode, f"ended by the operator's {command}", cut)
            return None
        self.desk.end(cut)
        self.robot.before_wait()  # the last transition too, while the log of its episode is open
        if self.runner.held:
            self._log_held()
        self._end_event(episode, "end", result)
        if result.fault:
            self.standstill.until_cleared(RobotFaultError(result.fault))
        return result

    def _give_up(self, episode: Episode, reason: str, cut: bool = False) -> None:
        """End an episode that is played again."""
        self._end_event(episode, "abort", reason=reason)
        self.desk.end(cut)

    def _log_held(self) -> None:
        """Give the recorder the transitions under review, while the log of their episode is open."""
        held = self.runner.held
        for i in range(0, len(held), BATCH):
            self._reviewed.publish(bytes_message(self._codec.encode(held[i : i + BATCH])))

    def _sees(self) -> bool:
        """Whether cameras and operator, where there are any, are heard of."""
        sees = self.vision is None or self.vision.is_fresh()
        return sees and (self.operator is None or self.operator.is_fresh())

    def _say(self, phase: str) -> None:
        """Tell the user where the session is."""
        self.node.get_logger().info(f"{phase}, {self.session.practice_steps} practice steps so far")

    def _end_event(
        self, episode: Episode, event: str, result: EpisodeResult | None = None, reason: str = ""
    ) -> None:
        message = episode_event(self.robot.stamp, episode, event, result, reason)
        if result is not None and result.steps and not self.lockstep:
            timing = self.robot.timing(newest=result.steps)
            message.result.update({k: v for k, v in timing.items() if k.startswith("latency")})
        self.robot.events.publish(json_message(message))

    def _on_evaluation(self, evaluation: Evaluation) -> None:
        self.node.get_logger().info(
            f"evaluation after {evaluation.steps} steps: {evaluation.successes} of {evaluation.episodes} "
            f"succeed alone, {evaluation.mean_steps:.1f} steps each"
        )
        self.book.add_evaluation(evaluation)

    def _write_summary(self) -> None:
        updates = int(self.link.metrics.get("updates", 0)) if self.link is not None else 0
        facts: dict[str, object] = {"clock": self.settings.clock, "transitions": self.runner.sequence}
        if self.robot.rate is not None:
            facts["realtime"] = self.robot.timing()
        self.book.close(self.session, updates, facts)


def body(stop: StopFlag) -> None:
    """Make the actor and run its session."""
    node = Node("actor")
    parameters = Parameters(node)
    settings = parameters.read(ActorSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    spinner = Spinner(stop, node)
    try:
        Actor(node, spinner, settings, config).play()
    finally:
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("actor", body)


if __name__ == "__main__":
    sys.exit(main())
