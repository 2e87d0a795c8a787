"""robot_rl: teach real robots by reinforcement learning."""

__version__ = "0.1.0"
