"""The recorder: writes every episode to an MCAP file as it happens, bytes as they came.

The ticks of the robot's process say which episode is running, so a recorder that is started again in the
middle of one goes on with it in a new file. Messages of different topics overtake each other; each is put
into the episode that its own stamp belongs to. Weights are left out, since a checkpoint has them, and so are
features, which can be made again from the pictures. An episode that the operator takes back goes to the
folder undone/, which no reader of a run looks into; nothing is ever deleted. At a fault the last seconds of
everything go to a file of their own (`robot_rl.data.black_box`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String, UInt8MultiArray

from robot_rl import tasks
from robot_rl.core.errors import CodecError, LogError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.data import black_box
from robot_rl.data.black_box import BlackBox, Fault
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import EpisodeLog, episode_path, newest_first, recover
from robot_rl.data.json_messages import ControlChange, Intervention
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.nodes.camera_topics import image_topic, info_topic
from robot_rl.nodes.convert import STATE_TYPES, bytes_from, cdr_stamp, json_from
from robot_rl.nodes.episode_events import result_of
from robot_rl.nodes.executor import Spinner, StopFlag, run
from robot_rl.nodes.messages import EpisodeEvent, SafetyState, Tick
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import IMAGE_LOG, LATCHED, LOG, TRANSITIONS

JSON_STAMPED = {
    "safety/state": SafetyState,
    "intervention/event": Intervention,
    "intervention/control": ControlChange,
    "episode/event": EpisodeEvent,
    "sync/tick": Tick,
}
"""Topics whose JSON has a stamp."""

BLACK_BOX_ONLY = (
    "heartbeat",
    "operator/command",
    "operator/input",
    "safety/e_stop_request",
    "safety/permit",
)
"""Topics that matter after a fault, but not in an episode."""

UNDONE = "undone"
"""Folder, inside that of the logs, of the episodes that the operator took back."""

GRACE = 0.5
"""After an episode's end, late messages are waited for this long [s]."""


@dataclass(frozen=True)
class RecorderSettings:
    """Settings of the recorder beside the task's own."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    out: str = "runs/graph"
    """Run directory; the logs go to its folder episodes/."""
    evaluations: bool = False
    """Record evaluation episodes too."""


class Raw(NamedTuple):
    """A message as it came."""

    topic: str
    stamp: int | None
    """None for a message without a stamp, and for a tracker's, whose stamps lie in the past."""
    data: bytes


class RecorderNode(Node):
    """Collects the messages between two ticks and writes them into the episode that they belong to."""

    def __init__(self) -> None:
        super().__init__("recorder")
        parameters = Parameters(self)
        self.settings = parameters.read(RecorderSettings())
        config = parameters.read(tasks.load(self.settings.task))
        parameters.check_all_known()
        self.spec = config.spec
        self.folder = Path(self.settings.out) / "episodes"
        self.codec = TransitionCodec(self.spec)
        self.log: EpisodeLog | None = None
        self.black_box = BlackBox(Path(self.settings.out) / black_box.FOLDER)
        self.received = 0
        """Messages so far."""
        self._request = ""
        self._episode = Episode(-1, 0, Mode.EVAL)
        self._pending: list[Raw] = []
        self._now = 0
        self._result: EpisodeResult | None = None
        self._end: EpisodeEvent | None = None
        self._close_at = float("inf")
        self._types: dict[str, str] = {}
        self._began = 0
        """Stamp of the first tick of the open file [ns]."""
        self._sights = {SUCCESS_PROBABILITY_TOPIC, *(image_topic(camera) for camera in config.cameras)}
        """Topics that lag behind the tick, and may show the scene before a reset after it."""
        self._camera_info: dict[str, Raw] = {}
        """The newest of each camera, written once an episode."""
        self._described: set[str] = set()
        """Those of them that are in the open file."""
        self._pictured: dict[str, int] = {}
        """Topic to the stamp of its newest picture."""
        self._repair()
        trackers = {f"{name}/pose" for name in config.objects}
        headers = {t: kind for t, kind in STATE_TYPES.items() if t not in JSON_STAMPED}
        headers |= {"arm/target_pose": PoseStamped, "gripper/command": JointState}
        headers |= {"intervention/twist": TwistStamped}
        headers |= {f"truth/{name}": PoseStamped for name in config.objects}
        if config.cameras:
            headers[SUCCESS_PROBABILITY_TOPIC] = JointState
        for camera in config.cameras:
            info, image = info_topic(camera), image_topic(camera)
            self._subscribe(info, CameraInfo, LOG, partial(self._on_camera_info, info))
            self._subscribe(image, Image, IMAGE_LOG, partial(self._on_image, image))
        for topic, kind in headers.items():
            self._subscribe(topic, kind, LOG, partial(self._on_header, topic))
        for topic in trackers:
            self._subscribe(topic, PoseStamped, LOG, partial(self._on_unstamped, topic))
        for topic in JSON_STAMPED:
            self._subscribe(topic, String, LOG, partial(self._on_json, topic))
        self._reviewed: set[int] = set()
        """Episodes whose transitions came for their review, before those for the learner."""
        learned = partial(self._on_transitions, False)
        self._subscribe("learner/transitions", UInt8MultiArray, TRANSITIONS, learned)
        self._ready = False
        """It hears the robot's ticks, and has told so."""
        self._ticked = False
        self._subscribe(
            "learner/ack", UInt8MultiArray, TRANSITIONS, partial(self._on_unstamped, "learner/ack")
        )
        for topic in ("learner/metrics", "session/state"):
            self._subscribe(topic, String, LATCHED, partial(self._on_unstamped, topic))
        self._subscribe("episode/command", String, LOG, partial(self._on_unstamped, "episode/command"))
        for topic in BLACK_BOX_ONLY:
            self._subscribe(topic, String, LOG, lambda data: None)

    def _repair(self) -> None:
        """Complete the files that a killed recorder left."""
        for path in sorted(self.folder.glob("*.mcap")):
            if path.stat().st_size == 0:  # killed before there was anything to keep
                continue
            try:
                found = recover(path)
            except LogError as error:
                self.get_logger().error(str(error))
                continue
            if found.lost_bytes:
                self.get_logger().info(f"completed {path.name}: {found.messages} messages")

    def _subscribe(self, topic: str, kind: type, qos: QoSProfile, callback: Callable[[bytes], None]) -> None:
        msgtype = self._types[topic] = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        has_header = hasattr(kind, "header")
        if qos is LATCHED:
            self.black_box.keep_newest(topic)

        def receive(data: bytes) -> None:
            self.black_box.add(topic, msgtype, data, cdr_stamp(data) if has_header else None)
            callback(data)

        self.create_subscription(kind, topic, receive, qos, raw=True)

    def _on_header(self, topic: str, data: bytes) -> None:
        self._keep(topic, cdr_stamp(data), data)

    def _on_camera_info(self, topic: str, data: bytes) -> None:
        self._camera_info[topic] = Raw(topic, None, data)

    def _on_image(self, topic: str, data: bytes) -> None:
        stamp = cdr_stamp(data)
        if self._pictured.get(topic) != stamp:  # not one that comes again with its tick
            self._pictured[topic] = stamp
            self._keep(topic, stamp, data)

    def _keep(self, topic: str, stamp: int | None, data: bytes) -> None:
        self.received += 1
        self._pending.append(Raw(topic, stamp, data))

    def _on_unstamped(self, topic: str, data: bytes) -> None:
        self._keep(topic, None, data)

    def _on_transitions(self, reviewed: bool, data: bytes) -> None:
        try:
            transitions = self.codec.decode(bytes_from(deserialize_message(data, UInt8MultiArray)))
        except CodecError as error:
            self.get_logger().error(f"transitions not recorded: {error}")
            return
        indices = {transition.episode for transition in transitions}
        if reviewed:
            self._reviewed |= indices
        elif indices <= self._reviewed:
            return  # their episode's log has them already
        if transitions:
            self._keep("learner/transitions", transitions[-1].stamp, data)

    def _on_json(self, topic: str, data: bytes) -> None:
        try:
            message = json_from(JSON_STAMPED[topic], deserialize_message(data, String))
        except CodecError as error:
            self.get_logger().error(f"{topic} not recorded: {error}")
            return
        self._keep(topic, message.stamp, data)
        if isinstance(message, Tick):
            self.black_box.tick(message.stamp)
            self._on_tick(message)
        elif isinstance(message, SafetyState):
            self._on_safety(message)
        elif isinstance(message, EpisodeEvent) and message.event == "undo":
            self._put_aside(message.index)
        elif isinstance(message, EpisodeEvent) and message.event != "begin":
            self._on_end(message)

    def _on_safety(self, state: SafetyState) -> None:
        try:
            self.black_box.see(Fault(state.fault, state.advice, state.stamp))
        except LogError as error:
            self.get_logger().error(str(error))

    def write_black_box(self, at_once: bool = False) -> None:
        """Write a black box when one is due, or `at_once` when one is to come."""
        try:
            path = self.black_box.flush() if at_once else self.black_box.poll()
        except LogError as error:
            self.get_logger().error(str(error))
            return
        if path is not None:
            self.get_logger().warning(f"a fault: the last seconds of everything are in {path}")

    def _on_tick(self, tick: Tick) -> None:
        """Write what has come; a tick of another request begins another episode."""
        self._ticked = True
        if tick.request == self._request:
            self._now = tick.stamp
            self.drain()
            return
        held = self._pending
        self._pending = [m for m in held if self._is_before(m, tick)]
        self.drain()
        self.finish()
        self._pending = [m for m in held if not self._is_before(m, tick)]
        self._request, self._now = tick.request, tick.stamp
        if tick.request:
            self._begin(tick)
        self.drain()

    def _is_before(self, message: Raw, tick: Tick) -> bool:
        """Whether a message belongs to the episode before the one that `tick` begins."""
        if message.stamp is not None:
            return message.stamp < tick.stamp
        return message.topic not in tick.inputs and message.topic != "episode/command"

    def _begin(self, tick: Tick) -> None:
        self._episode = tick.episode
        if self._episode.mode is not Mode.EVAL or self.settings.evaluations:
            path = episode_path(self.folder, self._episode.index)
            self._reviewed.discard(self._episode.index)
            self.log = EpisodeLog(path, self.spec, self._episode)
            self._described, self._began = set(), tick.stamp
        # The end may overtake the first tick that a recorder hears of.
        if self._end is not None and self._end.stamp >= tick.stamp:
            self._on_end(self._end)

    def _on_end(self, event: EpisodeEvent) -> None:
        self._end = event
        if event.index != self._episode.index:
            return
        self._close_at = time.monotonic() + GRACE
        if event.event == "end":
            self._result = result_of(event, self._episode)

    def _put_aside(self, index: int) -> None:
        """Move the newest log of an episode to the folder of those that were taken back."""
        if self.log is not None and self._episode.index == index:
            self.drain()
            self.finish()
        logs = newest_first(self.folder, index)
        if not logs:
            self.get_logger().error(f"episode {index} was taken back, but there is no log of it")
            return
        undone = self.folder / UNDONE
        undone.mkdir(exist_ok=True)
        logs[0].rename(episode_path(undone, index))

    def drain(self) -> None:
        """Write everything that has come into the open file."""
        if self.log is not None:
            new = self._camera_info.keys() - self._described
            self._described |= new
            for topic, stamp, data in [*(self._camera_info[topic] for topic in sorted(new)), *self._pending]:
                if topic not in self._sights or (stamp or 0) >= self._began:
                    self.log.write(topic, self._types[topic], data, self._now if stamp is None else stamp)
        self._pending = []

    def finish(self) -> None:
        """Complete the open file."""
        if self.log is not None:
            self.log.close(self._result)
        self.log, self._result, self._close_at = None, None, float("inf")

    def _tell_ready(self) -> None:
        """Subscribe to what the actor waits for a subscription of: from now on no episode is missed."""
        self._ready = True
        reviewed = partial(self._on_transitions, True)
        self._subscribe("episode/transitions", UInt8MultiArray, TRANSITIONS, reviewed)

    def work(self, spinner: Spinner) -> None:
        """Record until the process is asked to end."""
        while True:
            spinner.spin_once()
            if self._ticked and not self._ready:
                self._tell_ready()
            self.write_black_box()
            if time.monotonic() >= self._close_at:
                self.drain()
                self.finish()
            elif self.log is not None:
                self.log.flush_if_due()


def body(stop: StopFlag) -> None:
    """Make the recorder and run it until the process is asked to end."""
    node = RecorderNode()
    spinner = Spinner(stop, node)
    try:
        node.work(spinner)
    finally:
        # What the other nodes said last may have arrived, but not been looked at yet.
        spinner.spin_out(lambda: node.received, longest=3.0)
        node.drain()
        node.finish()
        node.write_black_box(at_once=True)
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("recorder", body)


if __name__ == "__main__":
    sys.exit(main())
