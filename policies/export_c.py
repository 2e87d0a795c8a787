"""A policy as one C99 header, for `firmware/`.

The header holds constants (the weights, a golden observation with its action, a checksum, where each array of
the observation lies) and `policy_act`, which calls the kernels of `firmware/include/mlp.h`. It allocates
nothing and calls no library. The scales of the observation are folded into the first layer, but with int8,
where they would cost precision: there the inputs are divided by them first.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from policies.bundle import Bundle, golden_observation
from policies.dense import Dense, bound_vectors, dense_layers, run, sample_vectors, sizes_of
from policies.quantise import FORMATS, quantised, restored
from robot_rl.core.errors import PolicyError, nearest

FORMAT = 2
"""MLP_FORMAT of `firmware/include/mlp.h`."""
GROUP = 4
"""Outputs that the kernels compute at once."""
GOLDEN_TOLERANCE = 1e-4
"""Largest difference of an element of the golden action at boot. The order of additions differs from NumPy's;
that the weights are the right ones the checksum proves, bit by bit."""
SAMPLES = 10_000
"""Observations for measuring what fewer bits cost."""
LARGEST_ERROR = 0.2
"""Largest error of an action in [-1, 1] that fewer bits may cost anywhere within the observation's bounds:
beyond, no header is written. Policies that fly have less than 0.1 with int8 and 0.004 with fp16; one whose
units are nearly all saturated has more than 1 with int8."""

C_TYPES = {"float32": "float", "fp16": "uint16_t", "int8": "int8_t"}


@dataclass(frozen=True)
class CExport:
    """A header and its figures."""

    header: str
    sizes: list[int]
    """Inputs, then the outputs of each layer."""
    weight_bytes: int
    """Weights, biases and scales."""
    worst_error: float
    """Largest difference of an action from the one of the float32 policy, over `SAMPLES` typical
    observations."""
    mean_error: float
    """Mean of the absolute differences, over the same."""
    worst_error_in_bounds: float
    """Largest difference over `SAMPLES` observations anywhere within their bounds."""


def c_export(
    bundle: Bundle, weights: str = "float32", constants: Mapping[str, float] | None = None
) -> CExport:
    """A policy bundle as a C99 header.

    Args:
        bundle: A policy of float32 vectors, tanh-mlp or tanh-gaussian; of a Gaussian the mean is exported.
        weights: One of `FORMATS`.
        constants: Macros that the header defines too, such as what is known of the vehicle.

    Raises:
        PolicyError: The policy has parts that no header can hold, the format is unknown, or it costs more
            than `LARGEST_ERROR`.
    """
    if weights not in FORMATS:
        raise PolicyError(f"weights {weights!r}: {nearest(weights, FORMATS)}")
    layers, scale = dense_layers(bundle), bundle.spec.observation.vector_scale
    divided = weights == "int8"
    if not divided:
        layers[0] = replace(layers[0], weight=layers[0].weight / scale[:, None])
    given = scale if divided else np.float32(1.0)
    acting = [restored(layer, weights) for layer in layers]

    def error_over(vectors: np.ndarray) -> np.ndarray:
        return np.abs(run(acting, vectors / given) - run(layers, vectors / given))

    error = error_over(sample_vectors(bundle.spec, SAMPLES))
    in_bounds = float(error_over(bound_vectors(bundle.spec, SAMPLES)).max())
    if not max(in_bounds, float(error.max())) <= LARGEST_ERROR:
        raise PolicyError(
            f"{weights} weights change an action of this policy by {in_bounds:.2g} within the bounds of its "
            f"observation, by {error.max():.2g} where it is typical; at most {LARGEST_ERROR:g} is exported. "
            f"Use {' or '.join(FORMATS[: FORMATS.index(weights)])} weights"
        )
    golden = bundle.spec.observation.vector(golden_observation(bundle.spec))

    arrays = list(_weight_arrays(layers, weights))
    if divided:
        arrays.append(("float", "policy_input_factor", 1.0 / scale))
    checksum = 0
    for _, _, values in arrays:
        checksum = zlib.crc32(values.astype(values.dtype.newbyteorder("<")).tobytes(), checksum)
    figures = CExport(
        header="",
        sizes=sizes_of(layers),
        weight_bytes=sum(values.nbytes for _, _, values in arrays),
        worst_error=float(error.max()),
        mean_error=float(error.mean()),
        worst_error_in_bounds=in_bounds,
    )
    parts = [
        _preamble(bundle, weights, figures),
        _macros(bundle, figures.sizes, checksum, constants),
        *(_array(*array) for array in arrays),
        _array("float", "policy_golden_observation", golden),
        _array("float", "policy_golden_action", run(acting, golden / given)),
        _checksum_function([name for _, name, _ in arrays]),
        _act_function(layers, weights, divided),
        "#endif\n",
    ]
    return replace(figures, header="\n".join(parts))


def export_c(
    bundle: Bundle, path: Path, weights: str = "float32", constants: Mapping[str, float] | None = None
) -> CExport:
    """Write the header of a policy to `path`; see `c_export`."""
    export = c_export(bundle, weights, constants)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(export.header)
    return export


def interleaved(weight: np.ndarray) -> np.ndarray:
    """(in, out) as the kernels read it: for each four outputs, for each input, four weights; zeros pad."""
    inputs, outputs = weight.shape
    padded = np.zeros((inputs, _padded(outputs)), weight.dtype)
    padded[:, :outputs] = weight
    return padded.reshape(inputs, -1, GROUP).transpose(1, 0, 2).ravel()


def _padded(outputs: int) -> int:
    return -(-outputs // GROUP) * GROUP


def _padded_vector(vector: np.ndarray) -> np.ndarray:
    return np.concatenate([vector, np.zeros(_padded(len(vector)) - len(vector), vector.dtype)])


def _weight_arrays(layers: list[Dense], form: str) -> Iterable[tuple[str, str, np.ndarray]]:
    """C type, name and values of each constant that acts."""
    for n, layer in enumerate(layers):
        weight, scale = quantised(layer, form)
        # int8 sums are scaled after the bias was added, so the bias is stored over the scale.
        bias = layer.bias if scale is None else layer.bias / scale
        stored = interleaved(weight)
        yield C_TYPES[form], f"policy_weights_{n}", stored.view(np.uint16) if form == "fp16" else stored
        yield "float", f"policy_bias_{n}", _padded_vector(bias)
        if scale is not None:
            yield "float", f"policy_scale_{n}", _padded_vector(scale)


def _preamble(bundle: Bundle, weights: str, figures: CExport) -> str:
    spec = bundle.spec
    rows, start = [], 0
    for name in spec.observation.vector_names:
        array = spec.observation[name]
        axes = f" in {array.frame}" if array.frame else ""
        end = start + array.size - 1
        rows.append(f"{start:4d}..{end:<4d} {name} [{array.unit}]{axes}, typically {array.scale:g}")
        start += array.size
    commands = ", ".join(spec.action.names) or f"{spec.action.size} numbers"
    provenance = json.dumps(dict(bundle.provenance), sort_keys=True, default=str)
    lines = [
        f"Policy for {spec.name or 'a task'}, version {bundle.version}: {_shape(figures.sizes)}, "
        f"{weights} weights.",
        "Written by robot-rl export; to change it, export again.",
        "",
        "Observation, in these units:",
        *rows,
        f"Action, each in [-1, 1]: {commands}, at {spec.control_rate:g} Hz.",
        "",
        f"Digest of the spec: {spec.digest}",
        f"Provenance: {provenance}",
        f"Weights, biases and scales: {figures.weight_bytes} bytes.",
        f"Error of {weights} weights over {SAMPLES} typical observations: {figures.worst_error:.2g} at most, "
        f"{figures.mean_error:.2g} on average;",
        f"{figures.worst_error_in_bounds:.2g} at most within the bounds.",
    ]
    text = "\n".join(f" * {line}".rstrip() for line in lines).replace("*/", "* /").replace("/*", "/ *")
    return f"/*\n{text}\n */"


def _macros(
    bundle: Bundle, sizes: list[int], checksum: int, constants: Mapping[str, float] | None = None
) -> str:
    spec = bundle.spec
    name = spec.name or "policy"
    lines = [
        "#ifndef POLICY_H",
        "#define POLICY_H",
        "",
        "#include <stdint.h>",
        "",
        '#include "mlp.h"',
        "",
        f"#if MLP_FORMAT != {FORMAT}",
        f'#error "this policy was exported for MLP_FORMAT {FORMAT}: export it again for these kernels"',
        "#endif",
        "",
        f"#define POLICY_NAME {json.dumps(name)}",
        f'#define POLICY_DIGEST "{spec.digest}"',
        f"#define POLICY_VERSION {bundle.version}",
        f"#define POLICY_INPUTS {sizes[0]}",
        f"#define POLICY_OUTPUTS {sizes[-1]}",
        f"#define POLICY_LAYERS {len(sizes) - 1}",
        f"#define POLICY_WIDTH {_padded(max(sizes[1:]))}",
        f"#define POLICY_PERIOD_US {round(1e6 / spec.control_rate)}",
        f"#define POLICY_CHECKSUM 0x{checksum:08x}u",
        f"#define POLICY_GOLDEN_TOLERANCE {_number(GOLDEN_TOLERANCE)}",
        "",
    ]
    start, largest = 0, float(np.finfo(np.float32).max)
    for array_name in spec.observation.vector_names:
        array, macro = spec.observation[array_name], re.sub(r"\W", "_", array_name).upper()
        lines += [f"#define POLICY_AT_{macro} {start}", f"#define POLICY_SIZE_{macro} {array.size}"]
        for end, value in (("LOW", array.low), ("HIGH", array.high)):
            bound = _number(float(np.clip(value, -largest, largest)))
            lines.append(f"#define POLICY_{end}_{macro} {bound}")
        ahead = [re.search(r"\+([\d.]+)s$", element) for element in array.names]
        if ahead and all(ahead):
            times = ", ".join(_number(float(found.group(1))) for found in ahead if found)
            lines.append(f"#define POLICY_AHEAD_{macro} {{{times}}}")
        start += array.size
    lines += [f"#define {macro} {_number(value)}" for macro, value in (constants or {}).items()]
    return "\n".join([*lines, ""])


def _shape(sizes: list[int]) -> str:
    return "-".join(map(str, sizes))


def _array(kind: str, name: str, values: np.ndarray) -> str:
    words = [_number(v) if kind == "float" else str(int(v)) for v in values]
    step = 8 if kind == "float" else 16
    rows = (", ".join(words[i : i + step]) for i in range(0, len(words), step))
    body = ",\n    ".join(rows)
    # Narrow weights are read by words.
    aligned = "" if kind == "float" else " MLP_ALIGNED"
    return f"static const {kind} {name}[{len(words)}]{aligned} = {{\n    {body},\n}};\n"


def _number(value: float) -> str:
    """A float32 in decimal, exactly: nine digits are enough."""
    text = f"{np.float32(value):.9g}"
    return text + ("f" if any(c in text for c in ".e") else ".0f")


def _checksum_function(names: list[str]) -> str:
    rows = "\n".join(f"    crc = mlp_crc32(crc, {name}, sizeof {name});" for name in names)
    return (
        "/* CRC-32 of all that acts; a little-endian machine gets POLICY_CHECKSUM. */\n"
        "static inline uint32_t policy_checksum(void)\n{\n    uint32_t crc = 0;\n"
        f"{rows}\n    return crc;\n}}\n"
    )


def _act_function(layers: list[Dense], form: str, divided: bool) -> str:
    steps, source, buffers = [], "observation", ("a", "b")
    if divided:
        steps += [
            "    MLP_BUFFER float input[POLICY_INPUTS];",
            "    for (int i = 0; i < POLICY_INPUTS; i++) {",
            "        input[i] = observation[i] * policy_input_factor[i];",
            "    }",
        ]
        source = "input"
    for n, layer in enumerate(layers):
        inputs, outputs = layer.weight.shape
        target, width = buffers[n % 2], _padded(outputs)
        constants = f"policy_weights_{n}, policy_bias_{n}"
        steps.append(f"    mlp_dense_{form}({constants}, {source}, {inputs}, {target}, {width});")
        if form == "int8":
            steps.append(f"    mlp_scale({target}, policy_scale_{n}, {width});")
        steps.append(f"    mlp_{layer.activation}({target}, {outputs});")
        source = target
    used = ", ".join(f"{name}[POLICY_WIDTH]" for name in buffers[: len(layers)])
    return "\n".join(
        [
            "/* The action for one observation. */",
            "static inline void policy_act(const float *observation, float *action)",
            "{",
            f"    MLP_BUFFER float {used};",
            *steps,
            "    for (int i = 0; i < POLICY_OUTPUTS; i++) {",
            f"        action[i] = {source}[i];",
            "    }",
            "}",
            "",
        ]
    )
