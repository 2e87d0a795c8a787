"""Which weights act at which step.

Practice is cut into blocks of B steps. Version 1 of the weights is what pre-training leaves; version
1 + j has learned from the first j blocks. Block b is played with version max(1, b): the learner works on
block b - 1 while the actor plays block b, so that simulator and learner run side by side, and a seed fixes
every action whatever the speed of the two.
"""

from __future__ import annotations


def due_version(practice_steps: int, block: int) -> int:
    """Version to act with at the practice step that follows `practice_steps` finished ones."""
    return max(1, practice_steps // block)


def settled_version(practice_steps: int, block: int) -> int:
    """The newest version that exists once all finished blocks are learned: for evaluations."""
    return 1 + practice_steps // block
