"""Writes MCAP files in the form of ROS 2's rosbag2."""

from __future__ import annotations

from typing import BinaryIO

from mcap.writer import CompressionType, Writer

from robot_rl.core.errors import LogError
from robot_rl.data.messages import definition


class Bag:
    """An MCAP writer that declares topics as rosbag2 does. Whoever made it ends it with `writer.finish`."""

    def __init__(self, file: BinaryIO, compression: CompressionType = CompressionType.ZSTD) -> None:
        """Begin a file.

        Args:
            file: Open for writing, at its start.
            compression: Of the chunks.
        """
        self.writer = Writer(file, compression=compression, enable_data_crcs=True)
        self.writer.start(profile="ros2", library="robot_rl")
        self._channels: dict[str, tuple[str, int]] = {}
        self._schemas: dict[str, int] = {}

    def add(self, topic: str, msgtype: str, data: bytes, stamp: int) -> None:
        """Add the CDR bytes of a message with their log time [ns]."""
        known = self._channels.get(topic)
        if known is None:
            known = self._channels[topic] = (msgtype, self._declare(topic, msgtype))
        if known[0] != msgtype:
            raise LogError(f"topic {topic!r} carries {known[0]}, not {msgtype}")
        self.writer.add_message(known[1], stamp, data, stamp)

    def _declare(self, topic: str, msgtype: str) -> int:
        text, type_hash = definition(msgtype)
        if msgtype not in self._schemas:
            self._schemas[msgtype] = self.writer.register_schema(msgtype, "ros2msg", text.encode())
        metadata = {"offered_qos_profiles": "", "topic_type_hash": type_hash}
        return self.writer.register_channel(topic, "cdr", self._schemas[msgtype], metadata)
