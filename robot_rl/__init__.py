"""robot_rl: teach real robots by reinforcement learning.

Importing it registers the tasks with Gymnasium, and loads nothing heavier than that.
"""

import os

__version__ = "0.1.0"

# Before NumPy is loaded: with more threads OpenBLAS wakes all cores for the small products of a policy, which
# then wait for whatever else runs there (5x768 by 768x256 on two busy cores: 24 ms of CPU instead of 0.06).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from robot_rl.tasks.registration import register

register()
