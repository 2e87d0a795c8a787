"""What a node's process and its supervisor agree on. Imports nothing of ROS."""

from __future__ import annotations

USER_ERROR = 2
"""Exit status for an error that the user can mend: starting the node again would not help."""

SUPERVISOR_VARIABLE = "ROBOT_RL_SUPERVISOR"
"""Environment variable with the process id of the supervisor, with which its nodes end."""
