"""The agent: an immutable pytree of networks, optimisers, random key and counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from policies.gaussian_policy import MAX_STD
from robot_rl.core.errors import SpecError
from robot_rl.core.spec import EnvSpec, Spec
from robot_rl.learn import adam, encoder, networks, replay
from robot_rl.learn.networks import Params
from robot_rl.learn.settings import LearnerConfig

GRIPPER_CHOICES = 3
"""Close (-1), keep (0), open (+1)."""


@dataclass(frozen=True)
class Shape:
    """The static facts that programs are traced with."""

    observations: int
    """Length of the packed observation."""
    actions: int
    """Length of the executed action, gripper included."""
    discrete_gripper: bool
    """Whether the last element of the action belongs to the gripper's Q-function."""
    cameras: tuple[int, ...] = ()
    """Features of each camera; () when learning from the packed observation alone."""
    views: int = 1
    """Views that each picture may show: the centre and the crops, or the shifts of the picture."""
    picture: tuple[int, ...] = ()
    """(h, w, 3) of every camera, where the encoder is trained; () where features are given."""

    @property
    def features(self) -> int:
        """Features of all cameras side by side."""
        return sum(self.cameras)

    @property
    def sight(self) -> jax.ShapeDtypeStruct | None:
        """What replay keeps of the pictures of one transition; None without cameras."""
        if self.picture:
            return jax.ShapeDtypeStruct((2, len(self.cameras), *self.picture), jnp.uint8)
        if self.cameras:
            return jax.ShapeDtypeStruct((2, self.views, self.features), jnp.float16)
        return None

    @property
    def continuous(self) -> int:
        """Length of the action that the Gaussian actor chooses."""
        return self.actions - self.discrete_gripper


def shape_of(spec: EnvSpec, config: LearnerConfig) -> Shape:
    """Static facts from the task's spec."""
    discrete = config.gripper == "discrete"
    if discrete and (not spec.action.names or spec.action.names[-1] != "gripper"):
        raise SpecError(
            'a discrete gripper needs an action whose last element is named "gripper"; '
            f"this task's are {list(spec.action.names)}. Set learner.gripper to continuous."
        )
    if spec.observation.vector_size == 0:
        raise SpecError("the observation has no float32 vector to learn from")
    seen = spec.observation
    if seen.image_names:
        return _shape_of_pictures(seen, spec.action.size, discrete)
    cameras = tuple(seen[name].size for name in seen.feature_names)
    return Shape(seen.vector_size, spec.action.size, discrete, cameras, 1 + seen.crops)


def _shape_of_pictures(seen: Spec, actions: int, discrete: bool) -> Shape:
    if seen.feature_names:
        raise SpecError(f"learn from {list(seen.feature_names)} or from {list(seen.image_names)}, not both")
    pictures = {seen[name].shape for name in seen.image_names}
    if len(pictures) > 1:
        raise SpecError(f"pictures of different sizes cannot be learned from together: {sorted(pictures)}")
    (picture,) = pictures
    cameras = (encoder.feature_count(*picture[:2]),) * len(seen.image_names)
    return Shape(seen.vector_size, actions, discrete, cameras, replay.SHIFTS, picture)


class Agent(NamedTuple):
    """All that learning changes, replay apart. Every leaf is a strongly typed array."""

    actor: Params
    critic: Params
    """The ensemble, stacked along a leading axis."""
    target: Params
    gripper: Params
    """The gripper's Q-function; empty when the gripper is continuous."""
    gripper_target: Params
    log_temperature: jax.Array
    actor_moments: adam.Moments
    critic_moments: adam.Moments
    gripper_moments: adam.Moments
    temperature_moments: adam.Moments
    key: jax.Array
    """Raw key data of the random stream."""
    steps: jax.Array
    """() int32, environment steps learned from, demonstrations not counted."""
    updates: jax.Array
    """() int32, critic steps taken."""
    encoder: Params | None = None
    """The encoder that is trained with the critics; None where there is none to train."""
    encoder_moments: adam.Moments | None = None


def create(shape: Shape, config: LearnerConfig, seed: int) -> Agent:
    """A new agent."""
    key = jax.random.key(seed)
    actor_key, critic_key, gripper_key, stream = jax.random.split(key, 4)
    inputs = shape.observations + (config.trunk if shape.features else 0)
    trunk, norm = (shape.features, config.trunk), config.critic_layer_norm
    sizes = [inputs, *config.hidden, shape.continuous]
    actor = networks.init_actor(actor_key, sizes, config.initial_std, *trunk)
    sizes = [inputs + shape.continuous, *config.hidden, 1]
    critic = networks.init_ensemble(critic_key, config.critics, sizes, *trunk, norm=norm)
    gripper: Params = {}
    if shape.discrete_gripper:
        sizes = [inputs, *config.hidden, GRIPPER_CHOICES]
        gripper = networks.init_trunk(gripper_key, *trunk) | networks.init_mlp(gripper_key, sizes, norm=norm)
    eyes = encoder.init(jax.random.fold_in(key, 1), len(shape.cameras)) if shape.picture else None
    log_temperature = jnp.asarray(np.log(np.float32(config.initial_temperature)), jnp.float32)
    return Agent(
        actor=actor,
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),
        gripper=gripper,
        gripper_target=jax.tree.map(jnp.copy, gripper),
        log_temperature=log_temperature,
        actor_moments=adam.init(actor),
        critic_moments=adam.init(critic),
        gripper_moments=adam.init(gripper),
        temperature_moments=adam.init(log_temperature),
        key=jax.random.key_data(stream),
        steps=jnp.int32(0),
        updates=jnp.int32(0),
        encoder=eyes,
        encoder_moments=None if eyes is None else adam.init(eyes),
    )


def actor_arrays(agent: Agent, config: LearnerConfig) -> dict[str, np.ndarray]:
    """What a policy needs at run time, under the names of `policies.gaussian_policy`."""
    arrays = {name: np.asarray(array) for name, array in agent.actor.items()}
    arrays[MAX_STD] = np.array([config.max_std], np.float32)
    arrays |= {f"gripper.{name}": np.asarray(array) for name, array in agent.gripper.items()}
    arrays |= {name: np.asarray(array) for name, array in (agent.encoder or {}).items()}
    return arrays
