"""Quality of service of the graph's topics.

State and commands are reliable: a lockstep graph cannot lose a message, and on a live robot the newest value
follows within milliseconds anyway. What a late joiner needs (weights, who is in the session) is latched.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

STREAM = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=16,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Robot state, commands, the person's wishes."""

NEWEST = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Pictures for the encoder, of which only the newest of a camera is worth the work."""

LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""States of which only the last one counts, also for a node that starts later."""

WEIGHTS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=4,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Policy weights. In lockstep two versions can be under way at once: the one that is due and the next."""

TRANSITIONS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1024,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Transitions and acknowledgements. What overflows is sent again, because it is not acknowledged."""

IMAGE_LOG = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=256,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""What the recorder takes pictures with: as `LOG`, but within some MB."""

LOG = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=4096,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""What the recorder subscribes with: room for seconds of traffic while the disk is busy."""
