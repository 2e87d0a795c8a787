"""Transitions on their way to the learner: kept until it has acknowledged them.

Pure: it decides what to send and when; the actor publishes it. Nothing is ever dropped here, and a learner
drops what it has twice, so that every transition arrives exactly once in its journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from robot_rl.core.types import Transition
from robot_rl.data.codec import Ack, TransitionCodec

BATCH = 256
"""Largest number of transitions in one message."""


class Outbox:
    """The transitions of one run of one actor that are not acknowledged yet."""

    def __init__(
        self,
        codec: TransitionCodec,
        publish: Callable[[bytes], None],
        clock: Callable[[], float],
        resend_after: float = 1.0,
    ) -> None:
        """Make an empty outbox.

        Args:
            codec: Encodes the messages.
            publish: Sends one message.
            clock: Steady time [s].
            resend_after: Silence after which everything unacknowledged is sent again [s].
        """
        self._codec = codec
        self._publish = publish
        self._clock = clock
        self._resend_after = resend_after
        self._waiting: deque[Transition] = deque()
        self._unsent = 0
        self._heard_at = clock()
        self.resent = 0
        """Transitions that were sent more than once."""

    def __len__(self) -> int:
        """Transitions that are not acknowledged."""
        return len(self._waiting)

    def add(self, transition: Transition) -> None:
        """Take a transition; `flush` sends it."""
        if not self._waiting:
            self._heard_at = self._clock()  # there was nothing to be silent about
        self._waiting.append(transition)
        self._unsent += 1

    def flush(self) -> None:
        """Send what is new, and everything again when the learner has been silent for too long."""
        now = self._clock()
        if self._waiting and now - self._heard_at > self._resend_after:
            self.resent += len(self._waiting) - self._unsent
            self._send(list(self._waiting))
            self._heard_at = now
        elif self._unsent:
            self._send(
                [self._waiting[i] for i in range(len(self._waiting) - self._unsent, len(self._waiting))]
            )
        self._unsent = 0

    def acknowledge(self, ack: Ack) -> None:
        """Forget what the learner has in its journal."""
        while self._waiting:
            actor, run, sequence = self._waiting[0].key
            if sequence > ack.last.get((actor, run), -1):
                break
            self._waiting.popleft()
            self._heard_at = self._clock()
        self._unsent = min(self._unsent, len(self._waiting))

    def _send(self, transitions: list[Transition]) -> None:
        for i in range(0, len(transitions), BATCH):
            self._publish(self._codec.encode(transitions[i : i + BATCH]))
