"""The small structured messages that only the graph has: JSON in `std_msgs/String`.

`robot_rl.data.json_messages` turns them into text and back, and holds the one that is logged without ROS too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rl.core.errors import CodecError, nearest
from robot_rl.core.types import Episode, Mode

HEARTBEAT_RATE = 20.0
"""Heartbeats of each process a second [Hz]."""

GOODBYE = -1
"""`Heartbeat.sequence` of a process that a person has ended, such as a console: nobody shall wait for it."""


@dataclass(frozen=True)
class Tick:
    """All inputs of one instant have been published: what to wait for before acting on it.

    Topics are not ordered against each other, so each carries stamps and this message names them.
    """

    stamp: int
    """Time of the state [ns]."""
    answers: int
    """Stamp of the command whose execution led here [ns]; -1 after a reset."""
    request: str
    """The reset request that the present episode began with, "" before the first."""
    index: int
    """`Episode.index` of that request."""
    seed: int
    """`Episode.seed` of that request."""
    mode: str
    """`Episode.mode` of that request."""
    inputs: dict[str, int]
    """Topic to the stamp [ns] of its newest message; a tracker's are older than the tick."""

    @property
    def episode(self) -> Episode:
        return Episode(self.index, self.seed, mode(self.mode))


@dataclass(frozen=True)
class SafetyState:
    """What the safety supervisor says about the arm."""

    stamp: int
    """Time of the state [ns]."""
    fault: str
    """Reason of the latched fault, "" when there is none."""
    peak_force: float = 0.0
    """Largest external force since the last reset [N]."""
    holding: bool = False
    """No command is in force: the arm holds its place."""
    limited: str = ""
    """What the last command was clipped or dropped for, as "workspace, linear speed"; why the arm holds
    for want of a permit; "" for nothing."""
    advice: str = ""
    """What to do about the fault, or about a permit that is missing; "" when nothing is wrong."""
    denials: int = 0
    """How often the arm was held for want of a permit, without a fault, since its process started."""


@dataclass(frozen=True)
class Heartbeat:
    """A process of the graph is alive and its loop turns. Comes `HEARTBEAT_RATE` times a second."""

    node: str
    """The process, as the node table calls it."""
    pid: int
    sequence: int
    """Counts the heartbeats of this start of the process from 0; `GOODBYE` in its last one."""


@dataclass(frozen=True)
class Permit:
    """The safety supervisor lets the arm follow commands. Without a fresh one that allows it, it holds."""

    sequence: int
    allowed: bool
    reason: str
    """Why it may not, "" when it may."""
    late: dict[str, float] = field(default_factory=dict)
    """Process to the age of its last heartbeat [s], for those that are late."""


@dataclass(frozen=True)
class OperatorInput:
    """What the operator's web page says of her hands: a `DeviceState` on the wire."""

    who: str
    """The browser, as the console names it."""
    sequence: int
    """Counts the messages of this console."""
    x: float
    y: float
    z: float
    rx: float
    ry: float
    rz: float
    """Axes in [-1, 1]."""
    buttons: str = ""
    """Names of the buttons that are held down, with spaces between them."""
    frame: str = ""
    """"base", or "" for the frame that the device is set up for."""


COMMANDS = ("start", "pause", "reset", "undo", "demonstrate", "label", "practise")
"""What the operator can tell the session: begin or go on; stop after this step, and hold; give this episode
up and begin another; take the last demonstration back; record a demonstration, or frames for a classifier,
next; and go on with the course of the training."""


@dataclass(frozen=True)
class OperatorCommand:
    """The operator tells the session what to do, once."""

    who: str
    command: str
    """One of `COMMANDS`."""


@dataclass(frozen=True)
class EpisodeRequest:
    """Asks the robot to bring arm and scene to the start of an episode."""

    request: str
    """Identity of this request; sending it again does not reset again."""
    index: int
    seed: int
    mode: str

    @property
    def episode(self) -> Episode:
        return Episode(self.index, self.seed, mode(self.mode))


@dataclass(frozen=True)
class EpisodeEvent:
    """An episode began or ended; the recorder makes its files from these."""

    stamp: int
    """Time of the first or of the last state [ns]."""
    event: str
    """"begin", "end", "abort" when the episode was given up, or "undo" when the operator took it back after
    its end."""
    index: int
    seed: int
    mode: str
    result: dict[str, float] = field(default_factory=dict)
    """At the end: success, steps, reward, interventions, human_steps, policy_version; on the real clock also
    latency_p50_ms, latency_p99_ms and latency_max_ms of its ticks."""
    reason: str = ""
    """Why an episode was given up."""


@dataclass(frozen=True)
class SessionState:
    """Where the actor is, and what it works with. Latched; a learner answers it with a `LearnerState`."""

    actor: str
    run: int
    """Counts the starts of this actor."""
    spec: str
    """Digest of the environment's spec."""
    phase: str
    """A phase of `Session`, or "starting" or "done"."""
    steps: int
    """Practice so far [environment steps]."""
    reason: str = ""
    """Why the session stands still, "" when it does not."""
    activity: str = "running"
    """"running"; "waiting" for the operator to start the next episode; "paused"; or "held" by a fault."""
    undo: int = -1
    """Index of the demonstration that can be taken back, -1 for none."""


@dataclass(frozen=True)
class LearnerState:
    """What the learner holds. Latched; the answer to a new run of an actor."""

    actor: str
    run: int
    """The newest run of that actor that the learner has heard of; older ones are closed."""
    spec: str
    """Digest of the spec that it learns for."""
    version: int
    """Newest version of the weights."""
    transitions: int
    """All transitions that it has, or will have, learned from."""
    practice_steps: int
    """Those that were not demonstrations [environment steps]."""
    saved: int
    """Version of the weights in the last checkpoint and policy bundle, 0 before the first."""


def mode(name: str) -> Mode:
    """The mode called `name`, or `CodecError`."""
    try:
        return Mode(name)
    except ValueError:
        raise CodecError(f"mode {name!r}: {nearest(name, (m.value for m in Mode))}") from None
