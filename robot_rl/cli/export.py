"""`robot-rl export --policy DIR`: a policy for a microcontroller (C) or for other runtimes (ONNX)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from policies.bundle import Bundle, load_bundle
from policies.export_c import export_c
from policies.export_onnx import export_onnx
from robot_rl.cli.arguments import parse
from robot_rl.cli.report import print_json, print_table
from robot_rl.core.errors import ConfigError
from sim.quadrotor.parameters import load_parameters

FILES = {"c": "policy.h", "onnx": "policy.onnx"}


@dataclass(frozen=True)
class ExportOptions:
    """Options of `robot-rl export`."""

    policy: Path
    """Policy bundle, such as runs/a/policy."""
    target: Literal["c", "onnx"] = "c"
    """One C99 header for firmware/, or an ONNX model."""
    out: Path | None = None
    """File to write; by default policy.h or policy.onnx in the policy's folder."""
    weights: Literal["float32", "fp16", "int8"] = "float32"
    """Format of the weights in C; fewer bits need less flash and cost the precision that is printed."""
    vehicle: str = ""
    """Quadrotor whose thrust curve the header shall hold, for the Crazyflie app: a parameter set such as
    l2f-paper, or the YAML file that `robot-rl calibrate` wrote."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = parse(ExportOptions, argv, "export", "Export a policy bundle to C or ONNX.")
    if options.target == "onnx" and options.weights != "float32":
        raise ConfigError("--weights is for --target c; an ONNX model has float32 weights")
    if options.target == "onnx" and options.vehicle:
        raise ConfigError("--vehicle is for --target c; an ONNX model commands no motors")
    bundle = load_bundle(options.policy)
    out = options.out or options.policy / FILES[options.target]
    report = export(bundle, options, out)
    if options.json:
        print_json(report)
        return 0
    rows = [(name.replace("_", " "), _text(value)) for name, value in report.items()]
    print_table(f"{bundle.spec.name or 'policy'} as {options.target}", rows)
    return 0


def export(bundle: Bundle, options: ExportOptions, out: Path) -> dict[str, Any]:
    """Write the file; its figures."""
    report: dict[str, Any] = {"file": str(out), "version": bundle.version, "digest": bundle.spec.digest}
    if options.target == "onnx":
        return report | {"golden_error": export_onnx(bundle, out)}
    result = export_c(bundle, out, options.weights, thrust_curve(options.vehicle))
    report |= {
        "layers": "-".join(map(str, result.sizes)),
        "multiply_adds": sum(a * b for a, b in pairwise(result.sizes)),
        "weights": options.weights,
        "weight_bytes": result.weight_bytes,
    }
    if options.weights != "float32":  # against float32 weights
        report |= {
            "worst_error": result.worst_error,
            "mean_error": result.mean_error,
            "worst_error_in_bounds": result.worst_error_in_bounds,
        }
    return report


def thrust_curve(vehicle: str) -> dict[str, float]:
    """The constants of `firmware/crazyflie` for a parameter set [N]; none without one."""
    if not vehicle:
        return {}
    curve = load_parameters(vehicle).thrust
    return {f"FLIGHT_THRUST_{power}": coefficient for power, coefficient in enumerate(curve)}


def _text(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
