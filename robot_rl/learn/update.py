"""The update program: insert a block, then UTD critic steps and one actor step for each environment step.

Notation: Q_i the critics, Q'_i their targets, pi the actor, alpha the temperature, r the reward with the
penalty taken off, c = 0 where the task ended and 1 elsewhere (time limits bootstrap).

    y      = clip(r + gamma c (min_{i in S} Q'_i(s', a') - [alpha log pi(a'|s')]), bounds),  a' ~ pi(.|s')
    L(Q)   = sum_i mean (Q_i(s, a) - y)^2 / 2
    L(pi)  = u mean (alpha log pi(a|s) - value(Q(s, a))) + w mean_demo |tanh(mean(s)) - a_demo|^2
    L(al)  = -log alpha * (mean log pi + target entropy) * alpha

S is a random subset without replacement (REDQ, Chen et al. 2021); the half of every batch that is
demonstrations is RLPD's (Ball et al. 2023); the discrete gripper is HIL-SERL's (Luo et al. 2024), with a
double-DQN target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from robot_rl.learn import adam, encoder, networks, replay
from robot_rl.learn.agent import GRIPPER_CHOICES, Agent, Shape
from robot_rl.learn.networks import Params
from robot_rl.learn.replay import Batch, Chosen, Replay, Rings
from robot_rl.learn.settings import LearnerConfig

Metrics = dict[str, jax.Array]


def gripper_class(action: jax.Array) -> jax.Array:
    """Class 0, 1, 2 of a gripper command: close below -0.5, open above +0.5, else keep."""
    return 1 + (action > 0.5).astype(jnp.int32) - (action < -0.5).astype(jnp.int32)


def random_orders(key: jax.Array, shape: tuple[int, ...], critics: int) -> jax.Array:
    """Random permutations (*shape, critics): their first entries are subsets without replacement."""
    return jax.random.bits(key, (*shape, critics)).argsort(-1)


def td_target(
    agent: Agent, shape: Shape, config: LearnerConfig, batch: Batch, noise: jax.Array, order: jax.Array
) -> jax.Array:
    """The TD target y (batch,) of the module's first equation; `order` is a permutation of the critics."""
    mean, log_std = networks.actor(agent.actor, batch.next_observation, config.max_std, batch.next_features)
    action, log_probability = networks.squash(mean, log_std, noise)
    target = agent.target
    if 0 < config.critic_subset < config.critics:
        target = networks.choose(target, order[: config.critic_subset])
    value = networks.ensemble_values(target, batch.next_observation, action, batch.next_features).min(0)
    if config.entropy_in_backup:
        value = value - jnp.exp(agent.log_temperature) * log_probability
    # The penalty is the gripper's cost: a gripper with a Q-function of its own bears it alone.
    reward = batch.reward if shape.discrete_gripper else batch.reward - batch.penalty
    y = reward + config.discount * batch.continues * value
    if config.return_bounds is not None:
        y = jnp.clip(y, *config.return_bounds)
    return y


def critic_step(
    agent: Agent, shape: Shape, config: LearnerConfig, batch: Batch, noise: jax.Array, order: jax.Array
) -> tuple[Agent, Metrics]:
    """One step of the critics and of the gripper's Q-function, and of their targets.

    An encoder that is trained takes its step here too: it follows the critics alone.
    """
    seen = encoder.encoded(agent.encoder, batch)
    y = td_target(agent, shape, config, seen, noise, order)
    arm = batch.action[..., : shape.continuous]

    def loss(critic: Params, eyes: Params | None) -> tuple[jax.Array, jax.Array]:
        features = encoder.encoded(eyes, batch).features
        q = networks.ensemble_values(critic, batch.observation, arm, features)
        return 0.5 * jnp.square(q - y).mean(-1).sum(), q

    differentiated = jax.value_and_grad(loss, (0, 1), has_aux=True)
    (value, q), (gradient, eyes_gradient) = differentiated(agent.critic, agent.encoder)
    critic, moments = adam.step(agent.critic, gradient, agent.critic_moments, config.learning_rate)
    agent = agent._replace(
        critic=critic,
        critic_moments=moments,
        target=adam.polyak(agent.target, critic, config.tau),
        updates=agent.updates + 1,
    )
    if agent.encoder_moments is not None:
        eyes, moments = adam.step(agent.encoder, eyes_gradient, agent.encoder_moments, config.learning_rate)
        agent = agent._replace(encoder=eyes, encoder_moments=moments)
    metrics = {"critic_loss": value / config.critics, "q_mean": q.mean(), "target_mean": y.mean()}
    if shape.discrete_gripper:
        agent, gripper_loss = gripper_step(agent, config, seen)
        metrics["gripper_loss"] = gripper_loss
    return agent, metrics


def gripper_step(agent: Agent, config: LearnerConfig, batch: Batch) -> tuple[Agent, jax.Array]:
    """One step of the gripper's Q-function on a double-DQN target (van Hasselt et al. 2016)."""
    following = batch.next_observation, batch.next_features
    chosen = networks.values(agent.gripper, *following).argmax(-1)
    rated = networks.values(agent.gripper_target, *following)
    value = jnp.take_along_axis(rated, chosen[..., None], -1)[..., 0]
    y = batch.reward - batch.penalty + config.discount * batch.continues * value
    if config.return_bounds is not None:
        y = jnp.clip(y, *config.return_bounds)
    executed = gripper_class(batch.action[..., -1])

    def loss(gripper: Params) -> jax.Array:
        q = networks.values(gripper, batch.observation, batch.features)
        q = jnp.take_along_axis(q, executed[..., None], -1)[..., 0]
        return 0.5 * jnp.square(q - y).mean()

    value, gradient = jax.value_and_grad(loss)(agent.gripper)
    gripper, moments = adam.step(agent.gripper, gradient, agent.gripper_moments, config.learning_rate)
    target = adam.polyak(agent.gripper_target, gripper, config.tau)
    agent = agent._replace(gripper=gripper, gripper_moments=moments, gripper_target=target)
    return agent, value


def cloning_loss(mean: jax.Array, action: jax.Array) -> jax.Array:
    """Squared distance (batch,) of the squashed mean to the demonstrated action."""
    return jnp.square(jnp.tanh(mean) - action).sum(-1)


def margin_loss(q: jax.Array, executed: jax.Array, margin: float) -> jax.Array:
    """max_a (Q(a) + margin [a != demo]) - Q(demo), (batch,) (DQfD, Hester et al. 2018)."""
    demo = jax.nn.one_hot(executed, GRIPPER_CHOICES, dtype=q.dtype)
    return (q + margin * (1.0 - demo)).max(-1) - (q * demo).sum(-1)


def cloning_weight(config: LearnerConfig, steps: jax.Array) -> jax.Array:
    """Weight of the cloning term after `steps` environment steps."""
    fraction = jnp.minimum(steps.astype(jnp.float32) / max(config.bc_decay_steps, 1), 1.0)
    return config.bc_weight_start + (config.bc_weight_end - config.bc_weight_start) * fraction


def critic_weight(config: LearnerConfig, steps: jax.Array) -> jax.Array:
    """Weight u of the critics in the actor's loss after `steps` environment steps."""
    return jnp.minimum((steps + 1).astype(jnp.float32) / (config.actor_warmup + 1), 1.0)


def actor_step(
    agent: Agent,
    shape: Shape,
    config: LearnerConfig,
    batch: Batch,
    noise: jax.Array,
    trust: jax.Array,
    weight: jax.Array,
) -> tuple[Agent, Metrics]:
    """One step of the actor and of the temperature.

    `trust` and `weight` are u and w of the module's equations.
    """
    temperature = jnp.exp(agent.log_temperature)
    first_demo = config.batch_size - config.demo_batch
    cloning = config.demo_batch > 0 and max(config.bc_weight_start, config.bc_weight_end) > 0

    def critics(action: jax.Array, first: int = 0) -> jax.Array:
        seen = None if batch.features is None else batch.features[first:]
        q = networks.ensemble_values(agent.critic, batch.observation[first:], action, seen)
        return q.mean(0) if config.actor_value == "mean" else q.min(0)

    def loss(actor: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        mean, log_std = networks.actor(actor, batch.observation, config.max_std, batch.features)
        action, log_probability = networks.squash(mean, log_std, noise)
        value = (temperature * log_probability - critics(action)).mean()
        clone = jnp.float32(0.0)
        if cloning:
            demo_mean = mean[first_demo:]
            demo_action = batch.action[first_demo:, : shape.continuous]
            distance = cloning_loss(demo_mean, demo_action)
            if config.bc_q_filter:
                own = jax.lax.stop_gradient(jnp.tanh(demo_mean))
                better = critics(demo_action, first_demo) > critics(own, first_demo)
                distance = jnp.where(better, distance, 0.0)
            clone = distance.mean()
        return trust * value + weight * clone, (log_probability.mean(), clone)

    (value, (log_probability, clone)), gradient = jax.value_and_grad(loss, has_aux=True)(agent.actor)
    actor, moments = adam.step(agent.actor, gradient, agent.actor_moments, config.learning_rate)
    surplus = -log_probability - config.target_entropy_per_action * shape.continuous
    log_temperature, temperature_moments = adam.step(
        agent.log_temperature, temperature * surplus, agent.temperature_moments, config.learning_rate
    )
    agent = agent._replace(
        actor=actor,
        actor_moments=moments,
        log_temperature=log_temperature,
        temperature_moments=temperature_moments,
    )
    if shape.discrete_gripper and cloning:
        agent = clone_gripper(agent, config, batch, first_demo, weight)
    metrics = {
        "actor_loss": value,
        "cloning_loss": clone,
        "entropy": -log_probability,
        "temperature": temperature,
    }
    return agent, metrics


def clone_gripper(
    agent: Agent, config: LearnerConfig, batch: Batch, first_demo: int, weight: jax.Array
) -> Agent:
    """One step of the gripper's Q-function towards the demonstrated choices."""
    demos = jax.tree.map(lambda x: x[first_demo:], batch)
    executed = gripper_class(demos.action[..., -1])

    def loss(gripper: Params) -> jax.Array:
        q = networks.values(gripper, demos.observation, demos.features)
        return weight * margin_loss(q, executed, config.gripper_margin).mean()

    gradient = jax.grad(loss)(agent.gripper)
    gripper, moments = adam.step(agent.gripper, gradient, agent.gripper_moments, config.learning_rate)
    return agent._replace(gripper=gripper, gripper_moments=moments)


def make_update(shape: Shape, config: LearnerConfig) -> Callable[..., tuple[Agent, Replay, Metrics]]:
    """The function update(agent, replay, rows, human, features) for blocks of `config.block` rows.

    `human` (block,) flags the rows that also go to the demonstration ring; `features` belong to the rows'
    pictures and are None without cameras. Metrics are means over the block.
    """
    rings = Rings(config.capacity, config.demo_capacity)
    draws = (config.block, config.utd_ratio, config.batch_size)

    def update(
        agent: Agent, memory: Replay, rows: jax.Array, human: jax.Array, features: jax.Array | None
    ) -> tuple[Agent, Replay, Metrics]:
        memory = replay.insert(memory, rings, rows, jnp.ones_like(human), human, features)
        stream = jax.random.wrap_key_data(agent.key)
        stream, bits_key, next_key, actor_key, order_key = jax.random.split(stream, 5)
        indices = replay.draw(memory, rings, jax.random.bits(bits_key, draws), config.demo_batch)
        batches = replay.unpack(memory.rows[indices], shape.observations, shape.actions)
        views = replay.draw_views(jax.random.fold_in(bits_key, 1), draws, shape.views, len(shape.cameras))
        chosen = Chosen(indices, views)
        next_noise = networks.gaussian_noise(next_key, (*draws, shape.continuous))
        actor_noise = networks.gaussian_noise(actor_key, (config.block, config.batch_size, shape.continuous))
        orders = random_orders(order_key, draws[:2], config.critics)
        weight = cloning_weight(config, agent.steps) * (memory.demo_total > 0)
        trust = critic_weight(config, agent.steps)

        def one_critic_step(agent: Agent, inputs: Any) -> tuple[Agent, Metrics]:
            batch, chosen, noise, order = inputs
            # Features are gathered batch by batch, so that they stay in the cache of the core.
            batch = replay.look(memory, batch, chosen, shape.cameras)
            return critic_step(agent, shape, config, batch, noise, order)

        def one_environment_step(agent: Agent, inputs: Any) -> tuple[Agent, Metrics]:
            critic_batches, chosen, noise, orders, last_noise = inputs
            steps = critic_batches, chosen, noise, orders
            agent, critic_metrics = jax.lax.scan(one_critic_step, agent, steps)
            last, chosen = jax.tree.map(lambda x: x[-1], (critic_batches, chosen))
            last = encoder.encoded(agent.encoder, replay.look(memory, last, chosen, shape.cameras))
            agent, actor_metrics = actor_step(agent, shape, config, last, last_noise, trust, weight)
            return agent, {k: v.mean() for k, v in critic_metrics.items()} | actor_metrics

        steps = batches, chosen, next_noise, orders, actor_noise
        agent, metrics = jax.lax.scan(one_environment_step, agent, steps)
        agent = agent._replace(key=jax.random.key_data(stream), steps=agent.steps + config.block)
        return agent, memory, {k: v.mean() for k, v in metrics.items()}

    return update


def make_insert(config: LearnerConfig) -> Callable[..., Replay]:
    """The function insert(replay, rows, to_online, to_demo, features), which learns nothing."""
    rings = Rings(config.capacity, config.demo_capacity)

    def insert(
        memory: Replay,
        rows: jax.Array,
        to_online: jax.Array,
        to_demo: jax.Array,
        features: jax.Array | None,
    ) -> Replay:
        return replay.insert(memory, rings, rows, to_online, to_demo, features)

    return insert
