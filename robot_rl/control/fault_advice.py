"""What a person should do about a fault, or about an arm that holds without one."""

from __future__ import annotations

import re

from robot_rl.control.watch import NOT_YET, SUPERVISOR, WAITING

CLEAR = "Then clear the fault."

_ADVICE = (
    (
        r"emergency stop",
        "Somebody pressed the stop. Find out why. When nobody is in reach and nothing is in the way, clear "
        "the fault.",
    ),
    (
        r"joint \d+ at ",
        f"The arm is folded too far. Guide it by hand until that joint is well inside its range. {CLEAR} If "
        "it comes again, make the workspace smaller.",
    ),
    (
        r"joint \d+ moves at ",
        f"The arm moved too fast. See what pushed it, or whether it is near a singular pose. {CLEAR} If it "
        "comes again, lower the speed limits or make the workspace smaller.",
    ),
    (
        r"external force ",
        f"The arm pressed too hard on something. Look what it touches, and guide it away from there. {CLEAR} "
        "If it comes again in harmless contact, make the arm softer or slower before you raise the limit.",
    ),
    (
        r"external torque ",
        f"Something twisted the hand too hard. Look whether the gripper is caught, and free it. {CLEAR}",
    ),
    (
        r"the measured pose is not finite",
        "The robot reports a pose that is no number. Check the robot's driver and its cable; start the graph "
        f"again if it goes on. {CLEAR}",
    ),
    (
        r"the command(?:'s quaternion .*| )is not ",
        "Whoever was in control sent a target that makes no sense. See who it was, and the end of the log of "
        f"that process (logs/actor.log). {CLEAR} If it comes again, stop the run: the policy may be broken.",
    ),
    (
        r"no new state for ",
        "The robot stopped reporting. Check its power, its cable and its driver's log (logs/robot.log). "
        f"{CLEAR}",
    ),
    (
        r"a reset did not reach its goal",
        f"On the way to the start of an episode something held the arm up. Take it away. {CLEAR}",
    ),
    (
        re.escape(SUPERVISOR) + " ",
        "The process 'safety' hangs or has ended, so nobody watches the others. Look into logs/safety.log. "
        f"It is started again by itself; when it is back, make sure that the workspace is clear. {CLEAR}",
    ),
    (
        r"the process 'console' ",
        "The console's process hangs or has ended, and with it the stop button on the page. Look into "
        f"logs/console.log. It is started again by itself; reload the page. {CLEAR}",
    ),
    (
        r"the process 'intervention' ",
        "The process of the input devices hangs or has ended, so nobody could take over. Look into "
        f"logs/intervention.log. It is started again by itself; when it is back, try your device. {CLEAR}",
    ),
    (
        r"the process '",
        "A process that the arm may not move without hangs or has ended. Look into its log in the folder "
        f"logs/, and start the graph again if it does not come back. {CLEAR}",
    ),
)
"""Beginning of a reason to the advice; the first that fits."""

UNKNOWN = f"See what happened, and make sure that the workspace is clear. {CLEAR}"
"""For a fault of a robot's own driver that this project does not know."""

WAIT = "The arm goes on by itself when that process is back; after 1 s it needs you."
"""For a hold that is no fault yet."""

START = (
    "Nothing to do while the graph starts. If it stays so, the process 'safety' did not start: look into "
    "logs/safety.log."
)
"""For an arm that has not had a permit yet."""

START_OF_ANOTHER = (
    "Nothing to do while the graph starts. If it stays so, that process did not start: look into its log in "
    "the folder logs/."
)
"""For an arm whose permit waits for a process."""


def fault_advice(reason: str) -> str:
    """What to do about a latched fault, "" for none."""
    if not reason:
        return ""
    return next((advice for start, advice in _ADVICE if re.match(start, reason)), UNKNOWN)


def hold_advice(reason: str) -> str:
    """What to do about an arm that holds for want of a permit, "" when it does not."""
    if not reason:
        return ""
    if reason == WAITING:
        return START
    return START_OF_ANOTHER if reason.endswith(NOT_YET) else WAIT
