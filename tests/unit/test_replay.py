"""Replay rings: packing, insertion, overwriting, and what a batch is drawn from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robot_rl.learn import replay
from robot_rl.learn.replay import Rings
from tests.unit.learner_samples import SPEC, noise_transition

RINGS = Rings(online=6, demo=4)


def rows(*numbers: int) -> jax.Array:
    return jnp.asarray(numbers, jnp.float32)[:, None] * jnp.ones((1, 2))


def insert(memory: replay.Replay, numbers: list[int], online: list[bool], demo: list[bool]) -> replay.Replay:
    return replay.insert(memory, RINGS, rows(*numbers), jnp.asarray(online), jnp.asarray(demo))


def test_pack_and_unpack_are_inverse_up_to_the_scales() -> None:
    transition = noise_transition(3, terminated=True)
    row = replay.pack(SPEC, transition)
    assert row.shape == (replay.row_width(SPEC),)
    batch = replay.unpack(jnp.asarray(row), SPEC.observation.vector_size, SPEC.action.size)
    scale = SPEC.observation.vector_scale
    np.testing.assert_allclose(batch.observation * scale, SPEC.observation.vector(transition.observation))
    following = SPEC.observation.vector(transition.next_observation)
    np.testing.assert_allclose(batch.next_observation * scale, following, rtol=1e-6)
    np.testing.assert_array_equal(batch.action, transition.action)
    assert float(batch.reward) == transition.reward
    assert float(batch.penalty) == pytest.approx(transition.penalty)


def test_only_the_end_of_the_task_stops_the_bootstrap() -> None:
    def continues(terminated: bool = False, truncated: bool = False) -> float:
        transition = noise_transition(0, terminated=terminated, truncated=truncated)
        return float(replay.pack(SPEC, transition)[-1])

    assert continues(terminated=True) == 0.0
    assert continues(truncated=True) == 1.0
    assert continues() == 1.0


def test_rows_go_where_their_flags_say_and_the_oldest_are_overwritten() -> None:
    memory = replay.create(RINGS, 2)
    memory = insert(memory, [1, 2, 3, 4], [True, True, True, False], [False, True, False, True])
    assert memory.rows[:, 0].tolist() == [1, 2, 3, 0, 0, 0, 2, 4, 0, 0]
    memory = insert(memory, [5, 6, 7, 8], [True] * 4, [False] * 4)
    assert memory.rows[:6, 0].tolist() == [8, 2, 3, 5, 6, 7]
    assert (int(memory.online_total), int(memory.demo_total)) == (7, 2)


def draw(memory: replay.Replay, demo_batch: int, batch: int = 8) -> np.ndarray:
    bits = jax.random.bits(jax.random.key(0), (500, batch))
    return np.asarray(replay.draw(memory, RINGS, bits, demo_batch))


def test_the_last_rows_of_a_batch_are_demonstrations_and_all_rows_are_drawn_alike() -> None:
    online, demo = [True, True, True, False], [False, True, True, True]
    memory = insert(replay.create(RINGS, 2), [1, 2, 3, 4], online, demo)
    indices = draw(memory, demo_batch=4)
    counts = np.bincount(indices[:, :4].ravel(), minlength=10)
    assert counts[3:].sum() == 0
    assert (np.abs(counts[:3] - 2000 / 3) < 100).all()
    counts = np.bincount(indices[:, 4:].ravel(), minlength=10)
    assert counts[:6].sum() == 0
    assert counts[9] == 0
    assert (np.abs(counts[6:9] - 2000 / 3) < 100).all()


def test_an_empty_ring_leaves_its_share_to_the_other() -> None:
    only_online = insert(replay.create(RINGS, 2), [1, 2], [True, True], [False, False])
    assert draw(only_online, demo_batch=4).max() <= 1
    only_demo = insert(replay.create(RINGS, 2), [1, 2], [False, False], [True, True])
    assert set(np.unique(draw(only_demo, demo_batch=4))) == {6, 7}
