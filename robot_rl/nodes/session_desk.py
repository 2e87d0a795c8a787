"""What the operator has told the session, and what follows from it: pause, start, reset, undo, requests.

Pure: the actor hands it the commands in the order in which they come (topic operator/command), and asks it
before, during and after each episode. A command that means nothing at that moment is refused with a reason,
so that a second click on "start" never starts the episode after the next.
"""

from __future__ import annotations

from collections.abc import Collection

from robot_rl.core.errors import nearest
from robot_rl.core.types import Episode, Mode
from robot_rl.env.session import Session
from robot_rl.nodes.messages import COMMANDS, OperatorCommand

SHOWN = (Mode.DEMO, Mode.LABEL)
"""Modes in which the person shows something: the operator starts them, and may take them back."""


class SessionDesk:
    """Decides when the next episode may begin and whether the present one has to end."""

    def __init__(
        self, session: Session, operator: bool, can_show: Collection[Mode], restarted: bool = False
    ) -> None:
        """Open the desk.

        Args:
            session: Takes the requests.
            operator: A person starts each demonstration and reviews it; a scripted one does neither.
            can_show: Which of `SHOWN` can be asked for.
            restarted: The actor was started again: with an operator the arm does not move before she says so.
        """
        self.session = session
        self.operator = operator
        self.can_show = can_show
        self.halted = "the actor was started again" if restarted else ""
        """Why nothing moves before the operator says so, "" when it may."""
        self.paused_by = ""
        """Who paused the session, "" when it is not paused."""
        self.held = ""
        """Why the robot is held, "" when it is not."""
        self.undo = -1
        """Index of the episode that can be taken back, -1 for none."""
        self._running: Episode | None = None
        self._interrupted_by = ""
        self._undo_wanted = False
        self._waiting = False
        self._started = False

    @property
    def activity(self) -> str:
        """`SessionState.activity`."""
        if self.held:
            return "held"
        if self._running is not None:
            return "running"
        if self.paused_by:
            return "paused"
        return "waiting" if self._waiting else "running"

    @property
    def interrupted_by(self) -> str:
        """The command that ends the present episode, "" for none."""
        return self._interrupted_by

    def tell(self, message: OperatorCommand) -> str:
        """Take a command; the answer says why it changes nothing, "" when it does."""
        command = message.command
        match command:
            case "start":
                if self.held:
                    return "the robot is held: start when that is mended"
                if not self.paused_by and not self._waiting:
                    return "nothing waits to be started"
                self.paused_by, self._started = "", True
            case "pause":
                self.paused_by, self._started = message.who or "the operator", False
                self._interrupt(command)
            case "reset":
                if self._running is None:
                    return "no episode runs that could begin anew: start begins the next one"
                self._interrupt(command)
            case "undo":
                return self._take_undo(command)
            case "demonstrate" | "label":
                mode = Mode.DEMO if command == "demonstrate" else Mode.LABEL
                if mode not in self.can_show:
                    return "there is nobody here who could, or no camera to label for"
                self.session.request(mode)
            case "practise":
                if self.session.requested is None:
                    return "no demonstration or labels have been asked for"
                self.session.request(None)
            case _:
                return f"there is no command {command!r}: {nearest(command, COMMANDS)}"
        return ""

    def _take_undo(self, command: str) -> str:
        if self._running is not None and self._running.mode in SHOWN:
            self._interrupt(command)
        elif self.undo < 0:
            return "there is no demonstration to take back: it can be until the next episode is started"
        self._undo_wanted = True
        return ""

    def _interrupt(self, command: str) -> None:
        if self._running is not None:
            self._interrupted_by = command

    def may_begin(self, mode: Mode | None) -> bool:
        """Whether the next episode may begin now.

        The operator starts what she shows; and whatever comes after it, the end too, so that she can take it
        back until then; and the first episode of an actor that was started again, or after an emergency stop.

        Args:
            mode: Of the next episode; None at the end of the session.
        """
        if mode is None and self.undo < 0:
            return True
        asks = self.operator and bool(mode in SHOWN or self.undo >= 0 or self.halted)
        self._waiting = asks and not self._started
        return not (self.paused_by or self._waiting)

    def begin(self, episode: Episode) -> None:
        """The next episode begins, and with that it is too late to take the last one back."""
        self._running, self.undo = episode, -1
        self._waiting = self._started = self._undo_wanted = False
        self._interrupted_by = self.halted = ""

    def halt(self, why: str) -> None:
        """Let nothing move before the operator says so from now on."""
        self.halted, self._started = why, False

    def interrupts(self) -> bool:
        """Whether the present episode has to end."""
        return bool(self._interrupted_by)

    def end(self, cut: bool) -> None:
        """The episode is over.

        Args:
            cut: It was interrupted, not just over when the command came.
        """
        if cut and self._interrupted_by == "reset":
            self._started = True  # another one was asked for
        self._running = None
        self._interrupted_by = ""

    def take_undo(self) -> bool:
        """Whether the last episode is to be taken back; asked once."""
        wanted, self._undo_wanted = self._undo_wanted, False
        if wanted:
            self.undo = -1
        return wanted
