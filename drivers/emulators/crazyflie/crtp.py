"""CRTP, the packets of the Crazyflie: one header byte and up to 30 bytes.

The header holds the port in its upper four bits, the channel in its lower two, and two bits between that are
always set. Over UDP a datagram is one packet, with nothing around it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

LARGEST = 30
"""Bytes of data that a packet can hold."""

NULL = 0xFF
"""Header of the packet that says nothing; who looks for Crazyflies sends it and takes any answer."""


class Port(IntEnum):
    """Who a packet is for."""

    CONSOLE = 0x0
    PARAM = 0x2
    COMMANDER = 0x3
    MEMORY = 0x4
    LOG = 0x5
    LOCALIZATION = 0x6
    SETPOINT = 0x7
    HIGH_LEVEL = 0x8
    SUPERVISOR = 0x9
    PLATFORM = 0xD
    LINK = 0xF


class Packet(NamedTuple):
    """One packet."""

    port: int
    channel: int
    data: bytes


def decode(datagram: bytes) -> Packet | None:
    """The packet in a datagram; None for what is empty or too long to be one."""
    if not 1 <= len(datagram) <= 1 + LARGEST:
        return None
    return Packet(datagram[0] >> 4, datagram[0] & 0x3, datagram[1:])


def encode(packet: Packet) -> bytes:
    """The datagram of a packet."""
    if len(packet.data) > LARGEST:
        raise ValueError(f"a packet holds at most {LARGEST} bytes, not {len(packet.data)}")
    return bytes([packet.port << 4 | 0x3 << 2 | packet.channel]) + packet.data
