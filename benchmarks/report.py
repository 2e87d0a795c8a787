"""What the benchmarks have in common: options, the form of a result, the printed table."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from typing import Any

from robot_rl.data.run_directory import machine

Result = dict[str, Any]
"""One figure: metric, value, unit, better, target, met, peer, peer_value, ratio, and what else it has."""


def result(
    metric: str,
    value: float,
    unit: str,
    better: str = "higher",
    target: float | None = None,
    peer: str | None = None,
    peer_value: float | None = None,
    **more: Any,
) -> Result:
    """One figure of a benchmark.

    Args:
        metric: What was measured.
        value: The figure.
        unit: Its unit.
        better: "higher" or "lower".
        target: What it should reach, if anything is asked of it.
        peer: Who else was measured in the same run.
        peer_value: The peer's figure.
        more: Anything else worth keeping, such as the spread.
    """
    met = None if target is None else (value >= target if better == "higher" else value <= target)
    ratio = None
    if peer_value:
        ratio = round(value / peer_value if better == "higher" else peer_value / value, 3)
    row = {"metric": metric, "value": value, "unit": unit, "better": better, "target": target, "met": met}
    return row | {"peer": peer, "peer_value": peer_value, "ratio": ratio} | more


def options(description: str | None) -> argparse.ArgumentParser:
    """The parser with the options that every benchmark has."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=form)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--quick", action="store_true", help="a sanity run within a minute")
    return parser


def finish(name: str, results: list[Result], arguments: argparse.Namespace) -> int:
    """Print the results in the form that was asked for; the exit status."""
    if arguments.json:
        host = machine() | {"python": platform.python_version()}
        print(json.dumps({"benchmark": name, "machine": host, "results": results}))
    else:
        for row in results:
            print(_line(row))
    return int(arguments.check and any(row["met"] is False for row in results))


def _line(row: Result) -> str:
    sign = "at least" if row["better"] == "higher" else "at most"
    target = f"   ({sign} {row['target']:g})" if row["target"] is not None else ""
    peer = f"   {row['peer']}: {row['peer_value']:g}, ratio {row['ratio']:g}" if row["peer"] else ""
    missed = "   MISSED" if row["met"] is False else ""
    return f"{row['metric']:58} {row['value']:10.4g} {row['unit']}{target}{peer}{missed}"


def main(name: str, description: str | None, measure: Callable[[argparse.Namespace], list[Result]]) -> int:
    """Parse the common options, measure and print."""
    arguments = options(description).parse_args()
    return finish(name, measure(arguments), arguments)
