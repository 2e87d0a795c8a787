"""Policies as ONNX models, run by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import Bundle
from policies.export_onnx import export_onnx
from robot_rl.core.errors import MissingDependencyError, PolicyError
from robot_rl.core.spec import EnvSpec
from tests.unit.flight_samples import bundle_of, flight_spec
from tests.unit.learner_samples import SPEC, seeing
from tests.unit.test_export_c import gaussian

onnxruntime = pytest.importorskip("onnxruntime")

FLIGHT = flight_spec(history=4, preview=3)


@pytest.mark.parametrize("bundle", [bundle_of(FLIGHT, (16, 12)), gaussian()], ids=["tanh-mlp", "gaussian"])
def test_onnx_and_numpy_agree(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "models" / "policy.onnx"
    assert export_onnx(bundle, path) < 1e-6
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    spec, policy = bundle.spec.observation, bundle.policy()
    vectors = np.random.default_rng(0).normal(size=(100, spec.vector_size)).astype(np.float32)
    (actions,) = session.run(None, {"observation": vectors})
    expected = np.stack([policy(spec.unpack(vector), None) for vector in vectors])
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    carried = session.get_modelmeta().custom_metadata_map
    assert EnvSpec.from_json(json.loads(carried["spec"])).digest == bundle.spec.digest
    golden = json.loads(carried["golden"])
    (action,) = session.run(None, {"observation": np.array([golden["observation"]], np.float32)})
    np.testing.assert_allclose(action[0], golden["action"], atol=1e-5)


def test_pictures_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="float32 vectors"):
        export_onnx(gaussian(spec=seeing(SPEC)), tmp_path / "policy.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(MissingDependencyError, match=rf"{missing} is not installed.*robot-rl\[data\]"):
        export_onnx(bundle_of(FLIGHT, (5,)), tmp_path / "policy.onnx")
