from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from robot_rl.core.errors import MissingDependencyError, RobotRlError, SpecError
from sim.quadrotor.dynamics import Model, State, Vector, Wrench, rest, step
from sim.quadrotor.native import NativeStepper, build
from sim.quadrotor.parameters import L2F_2, L2F_PAPER, QuadrotorParameters

STEPS = 500


def flights(parameters: QuadrotorParameters, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, actions and disturbances that keep a drone from tumbling ever faster for five seconds."""
    rng = np.random.default_rng(0)
    state = np.zeros((17, n), np.float32)
    state[:3] = rng.uniform(-0.2, 0.2, (3, n))
    quaternion = rng.normal(size=(4, n))
    state[3:7] = quaternion / np.linalg.norm(quaternion, axis=0)
    state[7:13] = rng.uniform(-1.0, 1.0, (6, n))
    state[13:] = parameters.hover_speed
    # All rotors alike, through the whole range and a little beyond it.
    common = rng.uniform(-1.2, 1.2, (STEPS, 1, n))
    actions = (common + 1e-3 * rng.normal(size=(STEPS, 4, n))).astype(np.float32)
    weight = parameters.mass * parameters.gravity
    wrench = np.concatenate([rng.normal(0, weight / 20, (3, n)), rng.normal(0, weight * 1e-7, (3, n))])
    return state, actions, wrench.astype(np.float32)


def in_jax(
    parameters: QuadrotorParameters, state: np.ndarray, actions: np.ndarray, wrench: np.ndarray
) -> np.ndarray:
    model, like = Model.of(parameters), jax.tree.structure(rest(()))
    push = Wrench(Vector(*wrench[:3]), Vector(*wrench[3:]))

    @jax.jit
    def fly(start: State, actions: np.ndarray) -> State:
        return jax.lax.scan(lambda s, a: (step(model, s, tuple(a), push), None), start, actions)[0]

    return np.stack(jax.tree.leaves(fly(jax.tree.unflatten(like, list(state)), actions)))


def away(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(found - expected) / np.maximum(1.0, np.abs(expected))


@pytest.mark.parametrize("parameters", [L2F_PAPER, L2F_2], ids=lambda p: p.name)
def test_five_seconds_are_those_of_jax(parameters: QuadrotorParameters) -> None:
    """As near to the flight in double precision as JAX's own in single precision."""
    # No multiple of the block, nor of a vector.
    state, actions, wrench = flights(parameters, 277)
    after, first = state.copy(), state.copy()
    stepper = NativeStepper(parameters)
    stepper.advance(first, actions[:1], wrench)
    assert away(first, in_jax(parameters, state, actions[:1], wrench)).max() < 2e-6
    stepper.advance(after, actions, wrench)
    ours = in_jax(parameters, state, actions, wrench)
    with jax.enable_x64(True):
        exact = in_jax(parameters, *(x.astype(np.float64) for x in (state, actions, wrench)))
    assert away(after, exact).max() < 5e-3
    assert away(after, exact).mean() < 2.0 * away(ours, exact).mean() < 1e-3
    assert not np.allclose(after, state, atol=0.1)


def test_many_calls_are_one() -> None:
    state, actions, _ = flights(L2F_PAPER, 300)
    stepper = NativeStepper(L2F_PAPER)
    at_once, one_by_one = state.copy(), state.copy()
    stepper.advance(at_once, actions[:20])
    for action in actions[:20]:
        stepper.advance(one_by_one, action[None])
    assert np.array_equal(at_once, one_by_one)


def test_still_air_is_a_disturbance_of_zero() -> None:
    state, actions, wrench = flights(L2F_2, 20)
    stepper = NativeStepper(L2F_2)
    without, zero = state.copy(), state.copy()
    stepper.advance(without, actions[:5])
    stepper.advance(zero, actions[:5], np.zeros_like(wrench))
    assert np.array_equal(without, zero)


def test_a_drone_that_is_not_a_number_stays_so_and_harms_no_other() -> None:
    state, actions, _ = flights(L2F_PAPER, 32)
    sick = state.copy()
    sick[7, 5] = np.nan
    stepper = NativeStepper(L2F_PAPER)
    stepper.advance(state, actions[:5])
    stepper.advance(sick, actions[:5])
    assert np.isnan(sick[7, 5])
    others = np.arange(32) != 5
    assert np.array_equal(sick[:, others], state[:, others])


@pytest.mark.parametrize(
    ("state", "actions", "message"),
    [
        (
            np.zeros((16, 8), np.float32),
            np.zeros((1, 4, 8), np.float32),
            r"state: float32 \(16, 8\), expected",
        ),
        (np.zeros((17, 8)), np.zeros((1, 4, 8), np.float32), "state: float64"),
        (np.zeros((17, 8), np.float32), np.zeros((1, 4, 7), np.float32), r"actions: float32 \(1, 4, 7\)"),
        (np.zeros((8, 17), np.float32).T, np.zeros((1, 4, 8), np.float32), "expected contiguous"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(state: np.ndarray, actions: np.ndarray, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        NativeStepper(L2F_PAPER).advance(state, actions)


def test_a_library_is_built_once(tmp_path: Path) -> None:
    source = tmp_path / "answer.c"
    source.write_text("int answer(void) { return 42; }\n")
    first = build(source, tmp_path)
    stamp = first.stat().st_mtime_ns
    assert build(source, tmp_path) == first
    assert first.stat().st_mtime_ns == stamp
    source.write_text("int answer(void) { return 43; }\n")
    assert build(source, tmp_path) != first


def test_errors_of_the_compiler_are_shown(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int answer(void) { return fourty_two; }\n")
    with pytest.raises(RobotRlError, match="fourty_two"):
        build(source, tmp_path)


def test_without_a_compiler_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "answer.c"
    source.write_text("int answer(void) { return 42; }\n")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="a C compiler is not installed"):
        build(source, tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(MissingDependencyError, match="no-such-compiler -m64"):
        build(source, tmp_path)
