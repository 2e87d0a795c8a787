"""The run directory of a graph, made ready before its processes start. Imports nothing of ROS."""

from __future__ import annotations

from pathlib import Path

from robot_rl.data.run_directory import RunDirectory
from robot_rl.nodes.table import LOCAL, GraphOptions
from robot_rl.tasks.arm import ArmTaskConfig

JOURNAL = "journal.rrlj"
"""Name of the learner's journal in the run directory."""

SESSION = "session.json"
"""Name of the file in the run directory that says where the session is."""

GRAPH = "graph.json"
"""Name of the file in the run directory that says how to join its graph, while it runs."""


def prepare(options: GraphOptions, config: ArmTaskConfig) -> Path:
    """Make the run directory `options.out`, or take the run that it holds, which the nodes go on with.

    Returns:
        The ROS parameter file with the settings: those in `config`, or of the run that is gone on with.
    """
    out = Path(options.out)
    if not (out / "provenance.json").exists():
        if options.perception_host == LOCAL:  # another host has its own directories, as it was told
            config = config.with_own_classifier(out)
        RunDirectory.create(out, config, options.task, options.seed)
    return out / "config.yaml"
