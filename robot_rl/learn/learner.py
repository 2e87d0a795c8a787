"""The learner: a deterministic fold over the stream of transitions.

The same transitions in the same order always give the same weights, bit for bit, on one machine. Updates
are dispatched without waiting, so that one process can simulate while XLA computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from robot_rl.core.config import to_dict
from robot_rl.core.errors import CheckpointError, InvalidActionError, SpecError, nearest
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Key, Source, Transition
from robot_rl.learn import agent as agents
from robot_rl.learn import checkpoint, replay
from robot_rl.learn.affordable import require_accelerator, require_memory
from robot_rl.learn.bc import make_pretrain
from robot_rl.learn.compile import Program, is_ready, use_disk_cache, use_one_thread
from robot_rl.learn.settings import LearnerConfig
from robot_rl.learn.update import make_insert, make_update

FACTS = ("spec", "config", "seed", "received", "last_key")
"""What a checkpoint says beside its arrays; the other counters follow when the rings are refilled."""


def _name(path: tuple[Any, ...]) -> str:
    """Name of a leaf of the agent in a checkpoint, such as `critic.layers.0.weight`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


class Row(NamedTuple):
    """One packed transition."""

    numbers: np.ndarray  # (width,) float32
    features: np.ndarray | None  # (2, views, f) float16, or pictures (2, cameras, h, w, 3) uint8


def _stack(rows: Sequence[Row], size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows one above the other, filled up with zeros to `size` of them."""

    def filled(parts: list[np.ndarray]) -> np.ndarray:
        stacked = np.zeros((size, *parts[0].shape), parts[0].dtype)
        stacked[: len(parts)] = parts
        return stacked

    features = [row.features for row in rows if row.features is not None]
    return filled([row.numbers for row in rows]), filled(features) if features else None


def is_finite(spec: EnvSpec, transition: Transition) -> bool:
    """Whether all numbers of a transition are finite: a sensor may have failed in the step before a fault."""
    parts = [spec.observation.vector(o) for o in (transition.observation, transition.next_observation)]
    numbers = np.concatenate([*parts, transition.action, [transition.reward, transition.penalty]])
    return bool(np.isfinite(numbers).all())


class Learner:
    """Learns from the transitions that it is given, in blocks.

    DEMO transitions go to the demonstration ring, HUMAN ones to both rings, all others to the online ring.
    When `config.demonstrations` demonstration episodes have ended, cloning runs and version 1 is published;
    from then on every `config.block` transitions that are no demonstrations make one update and one version
    (before `config.learning_starts` of them the weights stay as they are).
    """

    def __init__(self, spec: EnvSpec, config: LearnerConfig, seed: int) -> None:
        use_one_thread()
        use_disk_cache()
        self.spec, self.config, self.seed = spec, config, seed
        self.shape = agents.shape_of(spec, config)
        require_accelerator(self.shape, config)
        require_memory(self.shape, config)
        self.received = 0
        """Transitions taken, demonstrations included."""
        self.steps = 0
        """Transitions taken that are no demonstrations."""
        self.demonstrations = 0
        """Demonstration episodes that have ended."""
        self.last_key: Key | None = None
        """Key of the newest transition taken."""
        self.programs = {
            "update": Program(make_update(self.shape, config), donate=(0, 1)),
            "insert": Program(make_insert(config), donate=(0,)),
            "pretrain": Program(make_pretrain(self.shape, config), donate=(0,)),
        }
        self._agent = agents.create(self.shape, config, seed)
        rings = replay.Rings(config.capacity, config.demo_capacity)
        self._replay = replay.create(rings, replay.row_width(spec), self.shape.sight)
        self._metrics: dict[str, jax.Array] = {}
        self._version = 1 if config.demonstrations == 0 else 0
        self._demos: list[Row] = []
        self._block: list[tuple[Row, bool]] = []
        self._restore_to = 0
        self._restore_key: Key | None = None

    @property
    def version(self) -> int:
        """Number of weight versions published so far; 0 before the first."""
        return self._version

    @property
    def ready(self) -> bool:
        """Whether all dispatched work is done, so that the next update would start at once."""
        return is_ready(self._agent.updates) and is_ready(self._replay.online_total)

    def add(self, transition: Transition, learn: bool = True) -> None:
        """Take the next transition and dispatch what it makes due.

        With `learn` False a block that becomes full is stored without an update: a governor's way to shed
        load that the machine cannot carry.
        """
        if self.restoring:
            raise CheckpointError(
                f"the checkpoint holds {self._restore_to} transitions, but the rings only {self.received}: "
                "call restore_buffer with the journal first"
            )
        self._fold(transition, learn)

    def _fold(self, transition: Transition, learn: bool) -> None:
        action = transition.action
        if action.shape != self.spec.action.shape or not np.isfinite(action).all():
            raise InvalidActionError(
                f"transition {transition.key}: action {action} is not {self.spec.action.size} finite numbers"
            )
        row = Row(replay.pack(self.spec, transition), replay.pack_features(self.spec, transition))
        if not all(np.isfinite(part).all() for part in row if part is not None):
            raise InvalidActionError(
                f"transition {transition.key}: an observation or the reward is not finite"
            )
        self.received += 1
        self.last_key = transition.key
        if transition.source is Source.DEMO:
            self._demos.append(row)
            if transition.terminated or transition.truncated:
                self.demonstrations += 1
                if self._version == 0 and self.demonstrations >= self.config.demonstrations:
                    self._pretrain(learn)
            return
        self.steps += 1
        self._block.append((row, transition.source is Source.HUMAN))
        if len(self._block) == self.config.block:
            self._run_block(learn)

    def _pretrain(self, learn: bool) -> None:
        self._store_demos()
        if learn and self.config.bc_steps > 0:
            self._agent, self._metrics = self.programs["pretrain"](self._agent, self._replay)
        self._version = 1

    def _run_block(self, learn: bool) -> None:
        self._store_demos()
        rows, features = _stack([row for row, _ in self._block], self.config.block)
        human = np.array([flag for _, flag in self._block])
        self._block = []
        if learn and self._version > 0 and self.steps >= self.config.learning_starts:
            self._agent, self._replay, self._metrics = self.programs["update"](
                self._agent, self._replay, rows, human, features
            )
        else:
            self._replay = self.programs["insert"](self._replay, rows, np.ones_like(human), human, features)
        if self._version > 0:
            self._version += 1

    def _store_demos(self) -> None:
        size = self.config.block
        for start in range(0, len(self._demos), size):
            part = self._demos[start : start + size]
            rows, features = _stack(part, size)
            flags = np.arange(size) < len(part)
            self._replay = self.programs["insert"](self._replay, rows, np.zeros_like(flags), flags, features)
        self._demos = []

    def weights(self) -> dict[str, np.ndarray]:
        """The actor's arrays, under the names of `policies.gaussian_policy`; waits for them."""
        return agents.actor_arrays(self._agent, self.config)

    def metrics(self) -> dict[str, float]:
        """Figures of the last update and counters; waits for them."""
        demos = int(self._replay.demo_total)
        counters = {
            "steps": self.steps,
            "updates": int(self._agent.updates),
            "version": self._version,
            "online_size": min(int(self._replay.online_total), self.config.capacity),
            "demo_size": min(demos, self.config.demo_capacity),
        }
        return {k: float(v) for k, v in {**self._metrics, **counters}.items()}

    def save(self, directory: Path) -> None:
        """Write a checkpoint: all but the rings, which the journal refills."""
        leaves = jax.tree_util.tree_leaves_with_path(self._agent)
        arrays = {_name(path): np.asarray(leaf) for path, leaf in leaves}
        facts = {
            "spec": self.spec.to_json(),
            "config": to_dict(self.config),
            "seed": self.seed,
            "received": self.received,
            "last_key": None if self.last_key is None else list(self.last_key),
        }
        checkpoint.write(directory, arrays, facts)

    def load(self, directory: Path) -> None:
        """Take the agent of a checkpoint into this new learner; `restore_buffer` must follow."""
        if self.received:
            raise CheckpointError("load a checkpoint into a new learner, before its first transition")
        arrays, facts = checkpoint.read(directory, FACTS)
        try:
            self.spec.check_same(EnvSpec.from_json(facts["spec"]), "the task", f"the checkpoint {directory}")
        except SpecError as error:
            raise CheckpointError(str(error)) from None
        ours, theirs = to_dict(self.config), facts["config"]
        for name in {**ours, **theirs}:
            if ours.get(name) != theirs.get(name):
                raise CheckpointError(
                    f"{directory} was made with learner.{name} = {theirs.get(name)}, "
                    f"but this run has {ours.get(name)}"
                )
        paths, tree = jax.tree_util.tree_flatten_with_path(self._agent)
        leaves = []
        for path, leaf in paths:
            name = _name(path)
            array = arrays.get(name)
            if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
                raise CheckpointError(f"{directory} has no fitting array {name}: {nearest(name, arrays)}")
            leaves.append(jax.numpy.array(array))
        self._agent = jax.tree_util.tree_unflatten(tree, leaves)
        self.seed = facts["seed"]
        self._restore_to = facts["received"]
        self._restore_key = None if facts["last_key"] is None else Key(*facts["last_key"])

    @property
    def restoring(self) -> bool:
        """Whether transitions that the loaded checkpoint holds are still missing from the rings."""
        return self.received < self._restore_to

    def restore_buffer(self, transitions: Iterable[Transition]) -> None:
        """Refill the rings after `load` with the journal's transitions, learning nothing.

        Takes exactly the transitions that the checkpoint holds, from the first on; give the rest to `add`.
        """
        stream = iter(transitions)
        while self.restoring:
            transition = next(stream, None)
            if transition is None:
                raise CheckpointError(
                    f"the journal ends after {self.received} transitions; "
                    f"the checkpoint holds {self._restore_to}"
                )
            self.restore(transition)

    def restore(self, transition: Transition) -> None:
        """Put one transition that the loaded checkpoint holds back into the rings."""
        self._fold(transition, learn=False)
        if not self.restoring and self.last_key != self._restore_key:
            raise CheckpointError(
                f"the journal is not the checkpoint's: transition {self.received} is {self.last_key}, "
                f"not {self._restore_key}"
            )
