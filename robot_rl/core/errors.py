"""The exceptions of the project.

Every message says what is wrong, and what would be right. The command line prints the message alone;
a stack trace reaches the user only for a defect of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RobotRlError(Exception):
    """Base of all errors that a user can cause or mend."""


class SpecError(RobotRlError):
    """An array, or a whole spec, is not what was agreed on."""


class ConfigError(RobotRlError):
    """A configuration has an unknown key or a value of the wrong type or range."""


class InvalidActionError(RobotRlError):
    """An action is not finite, has the wrong shape or leaves its bounds."""


class CodecError(RobotRlError):
    """Bytes from the wire or the disk are truncated, corrupt or of another version."""


class LogError(RobotRlError):
    """An episode log or a journal cannot be read."""


class PolicyError(RobotRlError):
    """A policy bundle is damaged, or made for another spec than the one at hand."""


class CheckpointError(RobotRlError):
    """A checkpoint is damaged, or made by another configuration."""


class StaleStateError(RobotRlError):
    """A sensor or the robot's state has not been heard of for too long."""


class CameraError(RobotRlError):
    """A camera is gone, delivers nothing, or delivers what is no picture of the scene."""


class DeviceError(RobotRlError):
    """A person's input device is not there, was unplugged, or says what no such device can say."""


class DatasetError(RobotRlError):
    """A data set, or a file in another project's format, cannot be read, changed or merged as asked."""


class EncoderError(RobotRlError):
    """An encoder's file is missing, damaged or made for something else, or features are another encoder's."""


class ClassifierError(RobotRlError):
    """A reward classifier cannot be trained from this data, or cannot be loaded."""


class VehicleError(RobotRlError):
    """A drone or a car cannot be reached, or refuses what it is asked for."""


class LockstepStalledError(RobotRlError):
    """A peer of the lockstep graph did not deliver what the current tick waits for."""


class RobotFaultError(RobotRlError):
    """The robot is held by a latched fault. `reason` is the safety supervisor's."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the robot is held by a latched fault: {reason}. "
            "Make the workspace safe, then clear it (service safety/clear_fault)."
        )
        self.reason = reason


class MissingDependencyError(RobotRlError):
    """A part of the project needs a package, or a system library, that is not installed."""

    def __init__(self, what: str, needed_for: str, how: str) -> None:
        super().__init__(f"{what} is not installed; {needed_for} needs it. Get it with: {how}")


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of an error message: the valid name that is nearest to `name`, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}? Valid: {', '.join(names)}"
    return f"valid: {', '.join(names) or 'none'}"
