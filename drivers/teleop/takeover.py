"""Who is in control: a state machine over what the devices say. Time is passed in, and nothing is read.

A hand takes control when it is deflected by `engage`, or by its button, and keeps it until it has been at
rest, below the lower `dead_zone`, for `release_time`: with these two thresholds and this delay, noise neither
takes control nor makes it chatter. The first hand that acts has control until it lets go; a second one is
refused.

A hand has to be seen at rest before its motion counts: one that is held over while control was given back, or
a device that comes back deflected, does not take control by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from drivers.teleop.settings import TeleopConfig
from robot_rl.core.clock import nanoseconds

GRIPPER_BUTTONS = frozenset({"close", "open", "toggle"})


class Hand(NamedTuple):
    """What one device says, as far as control goes."""

    deflection: float
    """Of its most deflected axis [0..1]."""
    buttons: frozenset[str]
    """Those of `robot_rl.core.types.BUTTONS` that are held down."""
    pressed: frozenset[str] = frozenset()
    """Those of them that went down since the last update."""


class Verdict(NamedTuple):
    """What came of one update."""

    reason: str
    """Why another is in control than before: "motion", "button", "still", "dead man"; "" for no change."""
    refused: tuple[str, ...]
    """Devices that wanted control while another had it; each is named once an attempt."""


class Takeover:
    """Decides which device is in control."""

    def __init__(self, config: TeleopConfig) -> None:
        self.config = config
        self.holder = ""
        """The device in control, "" for none."""
        self.lost = False
        """That device is gone. It stays in control, unless another one takes it from there."""
        self._latched = False
        self._acted_at = 0
        self._rested: set[str] = set()

    def clear(self) -> None:
        """Take control from everybody; hands have to come to rest before they take it again."""
        self.holder, self.lost, self._latched = "", False, False
        self._rested.clear()

    def update(self, now: int, hands: Mapping[str, Hand | None], by_motion: bool | None = None) -> Verdict:
        """Look at all devices once.

        Args:
            now: Steady time [ns].
            hands: Device to what it says, None for one that is lost; the order decides between devices that
                act at once.
            by_motion: Whether a moving hand takes control; None: as it is configured.
        """
        if by_motion is None:
            by_motion = self.config.take_over == "motion"
        before = self.holder
        reason = self._keep(now, hands.get(before)) if before else ""
        refused = []
        for name, hand in hands.items():
            if hand is None:
                self._rested.discard(name)
                continue
            if hand.deflection <= self.config.dead_zone:
                self._rested.add(name)
            if name == before:
                continue
            wish = self._wish(name, hand, by_motion)
            if wish and (not self.holder or self.lost):
                self.holder, self.lost, self._acted_at = name, False, now
                self._latched = "take_over" in hand.pressed
                reason = wish
            elif wish:
                refused.append(name)
                self._rested.discard(name)
        return Verdict(reason, tuple(refused))

    def _held_back(self, hand: Hand) -> bool:
        return self.config.dead_man and "dead_man" not in hand.buttons

    def _wish(self, name: str, hand: Hand, by_motion: bool) -> str:
        """Why a hand wants control, "" when it does not."""
        if self._held_back(hand):
            return ""
        if "take_over" in hand.pressed or (by_motion and hand.pressed & GRIPPER_BUTTONS):
            return "button"
        moves = hand.deflection >= self.config.engage and name in self._rested
        return "motion" if by_motion and moves else ""

    def _keep(self, now: int, hand: Hand | None) -> str:
        """Let the holder keep control, or give it back and say why."""
        if hand is None:
            self.lost = True
            return ""
        if self.lost:
            self.lost, self._acted_at = False, now
        if self._held_back(hand):
            return self._release("dead man")
        if "hand_back" in hand.pressed or (self._latched and "take_over" in hand.pressed):
            return self._release("button")
        self._latched = self._latched or "take_over" in hand.pressed
        if hand.deflection > self.config.dead_zone or hand.buttons & GRIPPER_BUTTONS:
            self._acted_at = now
        rested = now - self._acted_at >= nanoseconds(self.config.release_time)
        return self._release("still") if rested and not self._latched else ""

    def _release(self, reason: str) -> str:
        self._rested.discard(self.holder)
        self.holder, self.lost, self._latched = "", False, False
        return reason
