"""Policies as C: they act as in NumPy, fewer bits cost what the header says, and the rest is refused."""

from __future__ import annotations

import ctypes
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import Bundle, save_bundle
from policies.dense import bound_vectors, dense_layers, sample_vectors
from policies.export_c import c_export, export_c, interleaved
from policies.mlp_policy import MlpPolicy
from robot_rl.cli import main
from robot_rl.core.errors import PolicyError
from robot_rl.core.spec import EnvSpec
from robot_rl.learn import agent
from robot_rl.learn.settings import LearnerConfig
from tests.unit import c_samples
from tests.unit.flight_samples import bundle_of, flight_spec
from tests.unit.learner_samples import SPEC, TINY, noise_transition, seeing

FLIGHT = flight_spec(history=32)


def gaussian(config: LearnerConfig = TINY, spec: EnvSpec = SPEC) -> Bundle:
    made = agent.create(agent.shape_of(spec, config), config, 0)
    return Bundle(spec, agent.actor_arrays(made, config), 7, {"task": "sample"})


def uniform(spec: EnvSpec, count: int) -> np.ndarray:
    """Packed observations anywhere within their bounds."""
    rng = np.random.default_rng(5)
    bounds = [(a.low, a.high) for _, a in spec.observation.entries for _ in range(a.size)]
    low, high = np.array(bounds).T
    return rng.uniform(low, high, (count, len(low))).astype(np.float32)


@pytest.mark.parametrize(
    ("gain", "hidden", "tolerance"),
    [
        (1.0, (64, 64), 1e-5),
        (8.0, (64, 64), 1e-4),
        (1.0, (5,), 1e-5),
        (1.0, (7, 6, 9), 1e-5),
        (1.0, (), 1e-5),
    ],
)
def test_c_and_numpy_agree(tmp_path: Path, gain: float, hidden: tuple[int, ...], tolerance: float) -> None:
    bundle = bundle_of(FLIGHT, hidden, gain)
    export_c(bundle, tmp_path / "policy.h")
    vectors = uniform(FLIGHT, 10_000)
    expected = MlpPolicy(FLIGHT, bundle.weights).act(vectors)
    actions = c_samples.run(c_samples.compiled_rows(tmp_path), vectors, 4)
    assert np.abs(actions - expected).max() <= tolerance
    assert np.abs(actions).max() <= 1.0
    if gain > 1.0:
        assert (np.abs(actions) > 0.999).mean() > 0.3  # it does saturate


def test_the_mean_of_a_gaussian_policy_is_exported(tmp_path: Path) -> None:
    bundle = gaussian()
    export = export_c(bundle, tmp_path / "policy.h")
    observations = [noise_transition(n).observation for n in range(200)]
    vectors = np.stack([SPEC.observation.vector(o) for o in observations])
    policy = bundle.policy()
    expected = np.stack([policy(o, None) for o in observations])
    actions = c_samples.run(c_samples.compiled_rows(tmp_path), vectors, 3)
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    assert export.sizes == [4, 16, 16, 3]


@pytest.mark.parametrize(("weights", "bytes_each", "limit"), [("fp16", 2, 2e-3), ("int8", 1, 0.05)])
def test_fewer_bits_cost_what_the_export_says(
    tmp_path: Path, weights: str, bytes_each: int, limit: float
) -> None:
    bundle = bundle_of(FLIGHT, (64, 64))
    export = export_c(bundle, tmp_path / "policy.h", weights)
    library = c_samples.compiled_rows(tmp_path)

    def error_over(vectors: np.ndarray) -> np.ndarray:
        return np.abs(c_samples.run(library, vectors, 4) - MlpPolicy(FLIGHT, bundle.weights).act(vectors))

    error = error_over(sample_vectors(FLIGHT, 10_000))
    assert error.max() == pytest.approx(export.worst_error, abs=1e-5)
    assert error.mean() == pytest.approx(export.mean_error, abs=1e-6)
    assert 0.0 < export.worst_error < limit
    anywhere = error_over(bound_vectors(FLIGHT, 10_000)).max()
    assert anywhere == pytest.approx(export.worst_error_in_bounds, abs=1e-5)
    assert f"{export.worst_error_in_bounds:.2g} at most within the bounds" in export.header
    assert export.weight_bytes < bytes_each * 13_696 + 2000


def test_float32_costs_nothing() -> None:
    assert c_export(bundle_of(FLIGHT, (64, 64))).worst_error == 0.0


def test_tanh_is_right_everywhere(tmp_path: Path) -> None:
    export_c(bundle_of(FLIGHT, (5,)), tmp_path / "policy.h")
    library = c_samples.compiled_rows(tmp_path)
    # Every 300th float from the smallest to 100, so that all exponents are there.
    bits = np.arange(0, int(np.float32(100.0).view(np.uint32)), 300, dtype=np.uint32)
    x = bits.view(np.float32)
    y, mirrored = x.copy(), -x
    library.squash(c_samples.pointer(y), ctypes.c_int(len(y)))
    library.squash(c_samples.pointer(mirrored), ctypes.c_int(len(y)))
    exact = np.tanh(x.astype(np.float64))
    assert np.abs(y - exact).max() < 4e-7
    assert y.max() <= 1.0
    np.testing.assert_array_equal(mirrored, -y)
    special = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32)
    library.squash(c_samples.pointer(special), ctypes.c_int(4))
    assert np.isnan(special[0])
    np.testing.assert_allclose(special[1:], [1.0, -1.0, 1.0], atol=4e-7)


def test_half_precision_is_read_exactly(tmp_path: Path) -> None:
    export_c(bundle_of(FLIGHT, (5,)), tmp_path / "policy.h")
    library = c_samples.compiled_rows(tmp_path)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    wide = np.empty(len(halves), np.float32)
    library.widen(c_samples.pointer(halves), c_samples.pointer(wide), ctypes.c_int(len(halves)))
    np.testing.assert_array_equal(wide.view(np.uint32), halves.astype(np.float32).view(np.uint32))


def test_weights_lie_as_the_kernels_read_them() -> None:
    weight = np.arange(10.0).reshape(2, 5)
    expected = [0, 1, 2, 3, 5, 6, 7, 8, 4, 0, 0, 0, 9, 0, 0, 0]
    np.testing.assert_array_equal(interleaved(weight), expected)


def test_a_header_says_what_it_is_and_is_always_the_same() -> None:
    bundle = dataclasses.replace(bundle_of(FLIGHT, (64, 64)), provenance={"note": "a */ b", "seed": 7})
    export = c_export(bundle)
    assert export.header == c_export(bundle).header
    for text in ("quadrotor_sample", "146-64-64-4", FLIGHT.digest, '"seed": 7', "velocity [m/s] in world"):
        assert text in export.header
    assert export.header.index("*/") > export.header.index("Error of float32")
    defined = dict(re.findall(r"#define POLICY_(\w+) (\S+)", export.header))
    assert (defined["INPUTS"], defined["OUTPUTS"], defined["PERIOD_US"]) == ("146", "4", "10000")
    assert (defined["AT_ACTIONS"], defined["SIZE_ACTIONS"], defined["HIGH_RATES"]) == ("18", "128", "35.0f")
    assert "malloc" not in export.header
    assert re.findall(r"#include (\S+)", export.header) == ["<stdint.h>", '"mlp.h"']


@pytest.mark.parametrize(
    ("bundle", "weights", "message"),
    [
        (gaussian(spec=seeing(SPEC)), "float32", r"float32 vectors.*wrist\.features"),
        (gaussian(dataclasses.replace(TINY, gripper="discrete")), "float32", "discrete gripper"),
        (bundle_of(FLIGHT, (5,)), "int4", r"weights 'int4': did you mean 'int8'"),
        (bundle_of(FLIGHT, (5,), gain=1e7), "fp16", "too large for fp16"),
        # Units that are saturated turn small errors of their weights into large ones of the action.
        (bundle_of(FLIGHT, (64, 64), gain=8.0), "int8", r"by 1\.\d+ within the bounds.*float32 or fp16"),
    ],
)
def test_what_cannot_be_exported_is_refused(bundle: Bundle, weights: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        c_export(bundle, weights)


def test_a_policy_without_hidden_layers_has_one_layer() -> None:
    (layer,) = dense_layers(bundle_of(FLIGHT, ()))
    assert (layer.weight.shape, layer.activation) == ((146, 4), "tanh")


def test_the_header_carries_a_vehicle_and_how_far_the_preview_looks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, out = str(tmp_path / "policy"), tmp_path / "policy.h"
    save_bundle(tmp_path / "policy", bundle_of(flight_spec(4, 2), (5,)))
    command = ["export", "--policy", policy, "--out", str(out), "--vehicle"]
    assert main([*command, "gpd-cf2x"]) == 0
    defined = dict(re.findall(r"#define (\w+) (.+)", out.read_text()))
    assert defined["FLIGHT_THRUST_0"] == "0.0f"
    assert float(defined["FLIGHT_THRUST_2"].rstrip("f")) == pytest.approx(2.25 * 0.027 * 9.8 / 4.0)
    ahead = [float(t) for t in re.findall(r"[\d.]+", defined["POLICY_AHEAD_PREVIEW"])]
    assert ahead == pytest.approx([0.1] * 3 + [0.2] * 3)
    assert not [name for name in defined if name.startswith("POLICY_AHEAD_A")]
    capsys.readouterr()
    assert main([*command, "gdp-cf2x"]) == 1
    assert "did you mean 'gpd-cf2x'" in capsys.readouterr().err
    assert main([*command, "gpd-cf2x", "--target", "onnx"]) == 1
    assert "commands no motors" in capsys.readouterr().err


def test_the_command_exports_and_prints_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_bundle(tmp_path / "policy", bundle_of(FLIGHT, (5,)))
    out = tmp_path / "out" / "p.h"
    command = ["export", "--policy", str(tmp_path / "policy"), "--target", "c", "--out", str(out), "--json"]
    assert main([*command, "--weights", "int8"]) == 0
    assert '"layers": "146-5-4"' in capsys.readouterr().out
    assert "mlp_dense_int8" in out.read_text()
    assert main(["export", "--policy", str(tmp_path), "--target", "c"]) == 1
    assert "not a policy bundle" in capsys.readouterr().err
    assert (
        main(["export", "--policy", str(tmp_path / "policy"), "--target", "onnx", "--weights", "fp16"]) == 1
    )
    assert "float32 weights" in capsys.readouterr().err
