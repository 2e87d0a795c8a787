"""Behaviour cloning on the demonstration ring, before reinforcement learning starts."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from robot_rl.learn import adam, encoder, networks, replay
from robot_rl.learn.agent import Agent, Shape
from robot_rl.learn.networks import Params
from robot_rl.learn.replay import Chosen, Replay, Rings
from robot_rl.learn.settings import LearnerConfig
from robot_rl.learn.update import Metrics, cloning_loss, gripper_class, margin_loss


def make_pretrain(shape: Shape, config: LearnerConfig) -> Callable[..., tuple[Agent, Metrics]]:
    """The function pretrain(agent, replay): `config.bc_steps` steps of Adam in one scan.

    The loss is |tanh(mean(s)) - a|^2 over demonstrations, and for a discrete gripper the DQfD margin. A
    further term keeps the standard deviation at `config.initial_std`: it shares its layers with the mean,
    and would drift to where sampled actions miss what the mean hits.
    """
    rings = Rings(config.capacity, config.demo_capacity)

    def loss(networks_: tuple[Params, Params], batch: replay.Batch) -> jax.Array:
        actor, gripper = networks_
        mean, log_std = networks.actor(actor, batch.observation, config.max_std, batch.features)
        value = cloning_loss(mean, batch.action[..., : shape.continuous]).mean()
        value = value + jnp.square(log_std - math.log(config.initial_std)).mean()
        if shape.discrete_gripper:
            q = networks.values(gripper, batch.observation, batch.features)
            executed = gripper_class(batch.action[..., -1])
            value = value + margin_loss(q, executed, config.gripper_margin).mean()
        return value

    def pretrain(agent: Agent, memory: Replay) -> tuple[Agent, Metrics]:
        stream = jax.random.wrap_key_data(agent.key)
        stream, bits_key = jax.random.split(stream)
        draws = (config.bc_steps, config.batch_size)
        indices = replay.draw(memory, rings, jax.random.bits(bits_key, draws), config.batch_size)
        views = replay.draw_views(jax.random.fold_in(bits_key, 1), draws, shape.views, len(shape.cameras))

        def step(agent: Agent, chosen: Chosen) -> tuple[Agent, jax.Array]:
            batch = replay.unpack(memory.rows[chosen.rows], shape.observations, shape.actions)
            batch = encoder.encoded(agent.encoder, replay.look(memory, batch, chosen, shape.cameras))
            value, (actor_gradient, gripper_gradient) = jax.value_and_grad(loss)(
                (agent.actor, agent.gripper), batch
            )
            rate = config.learning_rate
            actor, actor_moments = adam.step(agent.actor, actor_gradient, agent.actor_moments, rate)
            agent = agent._replace(actor=actor, actor_moments=actor_moments)
            if shape.discrete_gripper:
                gripper, moments = adam.step(agent.gripper, gripper_gradient, agent.gripper_moments, rate)
                agent = agent._replace(gripper=gripper, gripper_moments=moments, gripper_target=gripper)
            return agent, value

        agent, losses = jax.lax.scan(step, agent, Chosen(indices, views))
        agent = agent._replace(key=jax.random.key_data(stream))
        return agent, {"cloning_loss": losses[-1]}

    return pretrain
