"""A policy as an ONNX model: "observation" (n, inputs) float32 in its units to "action" (n, outputs).

The observation is packed in the order of the spec, which the model carries with the golden pair as metadata
(keys "spec", "golden", "version", "provenance"). The model divides by the scales itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from policies.bundle import GOLDEN_TOLERANCE, Bundle, golden_observation
from policies.dense import dense_layers
from robot_rl.core.errors import MissingDependencyError, PolicyError

OPSET = 17
IR_VERSION = 8
"""Old enough for runtimes of the last years."""
PACKAGES = "pip install 'robot-rl[data]'"


def onnx_model(bundle: Bundle) -> Any:
    """The model, an `onnx.ModelProto`.

    Raises:
        PolicyError: The policy has other parts than dense layers.
        MissingDependencyError: The package onnx is missing.
    """
    layers = dense_layers(bundle)
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ModuleNotFoundError:
        raise MissingDependencyError("onnx", "the export to ONNX", PACKAGES) from None
    spec = bundle.spec
    constants = [("scale", spec.observation.vector_scale)]
    nodes = [helper.make_node("Div", ["observation", "scale"], ["input"])]
    source = "input"
    for n, layer in enumerate(layers):
        constants += [(f"weight{n}", layer.weight), (f"bias{n}", layer.bias)]
        target = "action" if n == len(layers) - 1 else f"output{n}"
        nodes.append(helper.make_node("Gemm", [source, f"weight{n}", f"bias{n}"], [f"sum{n}"]))
        nodes.append(helper.make_node(layer.activation.capitalize(), [f"sum{n}"], [target]))
        source = target
    inputs, outputs = spec.observation.vector_size, spec.action.size
    numbers = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observation", numbers, ["n", inputs])],
        [helper.make_tensor_value_info("action", numbers, ["n", outputs])],
        [numpy_helper.from_array(np.ascontiguousarray(a, np.float32), name) for name, a in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    model.producer_name = "robot_rl"
    observation, action = _golden(bundle)
    for key, value in {
        "spec": spec.to_json(),
        "golden": {"observation": observation.tolist(), "action": action.tolist()},
        "version": bundle.version,
        "provenance": dict(bundle.provenance),
    }.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value, default=str)
    onnx.checker.check_model(model)
    return model


def export_onnx(bundle: Bundle, path: Path) -> float:
    """Write a policy to `path`, and replay its golden pair from there with onnxruntime.

    Returns:
        Largest difference of an element of the golden action.

    Raises:
        PolicyError: The policy cannot be exported, or the golden pair is not repeated.
        MissingDependencyError: onnx or onnxruntime is missing.
    """
    model = onnx_model(bundle)
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingDependencyError("onnxruntime", "the check of the exported model", PACKAGES) from None
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    observation, expected = _golden(bundle)
    (action,) = session.run(["action"], {"observation": observation[None]})
    error = float(np.abs(np.asarray(action)[0] - expected).max())
    if not error <= GOLDEN_TOLERANCE:
        raise PolicyError(f"the ONNX model does not repeat the golden action: {error:g} off")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return error


def _golden(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """The packed golden observation and its action."""
    observation = golden_observation(bundle.spec)
    return bundle.spec.observation.vector(observation), bundle.policy()(observation, None)
