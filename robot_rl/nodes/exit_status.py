"""What a node's process and its supervisor agree on. Imports nothing of ROS."""

from __future__ import annotations

USER_ERROR = 2
"""Exit status for an error that the user can mend: starting the node again would not help."""

STOPPED = 3
"""Exit status of a supervised node that was asked to end before its work was done. Without a supervisor it is
0, as users of `ros2 launch` expect."""

SUPERVISOR_VARIABLE = "ROBOT_RL_SUPERVISOR"
"""Environment variable with the process id of the supervisor, with which its nodes end."""
