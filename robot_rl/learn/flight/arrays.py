"""Trees of arrays and plain numbers, of which a compiled program carries only the arrays.

A flight of `sim.quadrotor.environment` holds arrays, one number for each quadrotor, and plain numbers, where
all are the same. The plain ones stay constants of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import jax

from sim.quadrotor.dynamics import Array

Tree = TypeVar("Tree")


def arrays_of(tree: Any) -> list[Array]:
    """The arrays among the leaves."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def outline(tree: Tree) -> Tree:
    """The same tree with only the shapes of its arrays, for `with_arrays`."""
    return jax.tree.map(lambda leaf: jax.typeof(leaf) if isinstance(leaf, jax.Array) else leaf, tree)


def with_arrays(tree: Tree, arrays: Sequence[Array]) -> Tree:
    """The same tree, or one with this outline, with these arrays in place of its own."""
    rest = iter(arrays)
    plain = (int, float)
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, plain) else next(rest), tree)
