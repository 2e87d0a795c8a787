"""Quality of service of the graph's topics.

State and commands are reliable: a lockstep graph cannot lose a message, and on a live robot the newest value
follows within milliseconds anyway. What a late joiner needs (weights, who is in the session) is latched.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def keep_last(depth: int, reliable: bool = True, latched: bool = False) -> QoSProfile:
    """A profile that keeps the last messages.

    Args:
        depth: How many, for a reader that is slow.
        reliable: What is lost on the way is sent again.
        latched: A reader that comes later gets them too.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


STREAM = keep_last(16)
"""Robot state, commands, the person's wishes."""

NEWEST = keep_last(1)
"""Pictures for the encoder, of which only the newest of a camera is worth the work."""

LATCHED = keep_last(1, latched=True)
"""States of which only the last one counts, also for a node that starts later."""

WEIGHTS = keep_last(4, latched=True)
"""Policy weights. In lockstep two versions can be under way at once: the one that is due and the next."""

TRANSITIONS = keep_last(1024)
"""Transitions and acknowledgements. What overflows is sent again, because it is not acknowledged."""

IMAGE_LOG = keep_last(256)
"""What the recorder takes pictures with: as `LOG`, but within some MB."""

LOG = keep_last(4096)
"""What the recorder subscribes with: room for seconds of traffic while the disk is busy."""
