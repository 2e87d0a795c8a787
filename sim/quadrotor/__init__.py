"""Quadrotors in JAX: rigid body, rotors with lag, many at once, differentiable."""
