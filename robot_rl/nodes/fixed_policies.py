"""Where the actor gets its policy from: the learner's newest, or one that stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from policies.bundle import load_bundle
from policies.scripted import HoldStill, RandomPolicy
from robot_rl.core.errors import ConfigError
from robot_rl.core.protocols import Policy
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Mode


class Policies(Protocol):
    """Gives out the policy that acts at each tick."""

    def due(self, mode: Mode) -> Policy: ...

    def settle(self) -> None: ...


class FixedPolicies:
    """One frozen policy for everything."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def due(self, mode: Mode) -> Policy:
        return self.policy

    def settle(self) -> None:
        """There is nothing to wait for."""


def fixed_policy(name: str, spec: EnvSpec) -> Policy:
    """The frozen policy called `name`, or the one in the bundle at that path."""
    if name == "random":
        return RandomPolicy(spec.action)
    if name == "hold":
        return HoldStill(spec.action)
    if not Path(name).is_dir():
        raise ConfigError(f'policy {name!r} is none of "learner", "random", "hold", nor a directory')
    return load_bundle(Path(name), spec).policy()
