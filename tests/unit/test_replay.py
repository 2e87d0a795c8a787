"""Replay rings: packing, insertion, overwriting, and what a batch is drawn from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robot_rl.learn import replay
from robot_rl.learn.agent import Shape
from robot_rl.learn.replay import Batch, Chosen, Replay, Rings
from tests.unit.learner_samples import CAMERAS, SPEC, noise_transition, seeing, with_sight

RINGS = Rings(online=6, demo=4)


def rows(*numbers: int) -> jax.Array:
    return jnp.asarray(numbers, jnp.float32)[:, None] * jnp.ones((1, 2))


def insert(memory: Replay, numbers: list[int], online: list[bool], demo: list[bool]) -> Replay:
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


def draw(memory: Replay, demo_batch: int, batch: int = 8) -> np.ndarray:
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


CROPS = 3
SEEING = seeing(SPEC, CROPS)
SIZES = tuple(CAMERAS.values())


def filled(count: int) -> tuple[Replay, np.ndarray]:
    """Rings with `count` transitions in the online one, and their features."""
    transitions = [with_sight(noise_transition(n), SEEING) for n in range(count)]
    features = np.stack([f for t in transitions if (f := replay.pack_features(SEEING, t)) is not None])
    numbers = jnp.asarray(np.stack([replay.pack(SEEING, t) for t in transitions]))
    memory = replay.create(RINGS, numbers.shape[1], jax.ShapeDtypeStruct(features.shape[1:], jnp.float16))
    flags = jnp.ones(count, bool)
    return replay.insert(memory, RINGS, numbers, flags, flags & False, jnp.asarray(features)), features


def batch_of(memory: Replay, rows: jax.Array) -> Batch:
    return replay.unpack(memory.rows[rows], SPEC.observation.vector_size, SPEC.action.size)


def test_features_are_stored_with_their_rows_as_they_came() -> None:
    memory, features = filled(4)
    assert features.shape == (4, 2, 1 + CROPS, sum(SIZES))
    transition = with_sight(noise_transition(2), SEEING)
    first = np.concatenate([transition.next_observation[f"{c}.features"] for c in CAMERAS])
    np.testing.assert_array_equal(features[2, 1, 0], first)
    crops = np.concatenate([transition.observation[f"{c}.crops"][1] for c in CAMERAS])
    np.testing.assert_array_equal(features[2, 0, 2], crops)
    assert memory.features is not None
    assert memory.features.dtype == np.float16
    np.testing.assert_array_equal(memory.features[:4], features)
    assert not memory.features[4:].any()


def test_each_picture_shows_a_view_of_its_own() -> None:
    memory, features = filled(4)
    rows = jnp.array([3, 0, 2])
    views = jnp.array([[[0, 1], [2, 3]], [[1, 1], [0, 0]], [[3, 0], [1, 2]]])
    batch = replay.look(memory, batch_of(memory, rows), Chosen(rows, views), SIZES)
    assert batch.features is not None
    assert batch.next_features is not None
    for n, row in enumerate(rows):
        for which, seen in enumerate((batch.features[n], batch.next_features[n])):
            wrist, side = (features[row, which, view] for view in views[n, which])
            np.testing.assert_array_equal(seen, np.concatenate([wrist[:6], side[6:]]))


def test_without_crops_the_centre_is_seen_and_without_cameras_nothing() -> None:
    memory, features = filled(4)
    rows = jnp.array([1, 3])
    batch = replay.look(memory, batch_of(memory, rows), Chosen(rows, None), SIZES)
    np.testing.assert_array_equal(batch.next_features, features[[1, 3], 1, 0])
    blind = replay.look(memory._replace(features=None), batch_of(memory, rows), Chosen(rows, None), ())
    assert blind.features is blind.next_features is None
    assert replay.pack_features(SPEC, noise_transition(0)) is None
    assert replay.create(RINGS, 2).features is None


def test_views_are_drawn_alike_and_independently() -> None:
    views = replay.draw_views(jax.random.key(0), (4000,), 4, 2)
    assert views is not None
    assert views.shape == (4000, 2, 2)
    joint = np.asarray(views).reshape(4000, 4) @ [1, 4, 16, 64]
    counts = np.bincount(joint, minlength=256)
    assert counts.size == 256
    assert ((counts - 4000 / 256) ** 2 / (4000 / 256)).sum() < 340, "chi-square, 255 degrees of freedom"
    assert replay.draw_views(jax.random.key(0), (4,), 1, 2) is None
    assert replay.draw_views(jax.random.key(0), (4,), 1, 0) is None


@pytest.mark.parametrize(("crops", "limit"), [(0, 3000), (4, 17000)])
def test_a_transition_of_two_cameras_fits_its_budget(crops: int, limit: int) -> None:
    rings = Rings(online=90, demo=10)
    sight = Shape(14, 5, False, (256, 256), 1 + crops).sight
    memory = jax.eval_shape(lambda: replay.create(rings, 2 * 14 + 5 + 3, sight))
    size = sum(array.size * array.dtype.itemsize for array in jax.tree.leaves(memory))
    assert size / 100 <= limit
