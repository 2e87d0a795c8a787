"""robot_rl: teach real robots by reinforcement learning.

Importing it registers the tasks with Gymnasium, and loads nothing heavier than that.
"""

__version__ = "0.1.0"

from robot_rl.tasks.registration import register

register()
