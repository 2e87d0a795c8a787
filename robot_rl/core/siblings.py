"""A check that our top-level packages are all ours.

`sim` or `drivers` are names that other people use too: a sourced ROS workspace on PYTHONPATH may put its own
before ours, and a wheel that owns such a package overwrites ours without a word. Every entry point calls
`check_siblings` first, so that this ends in one clear message and not in a strange import error.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from robot_rl.core.errors import RobotRlError

PACKAGES = ("robot_rl", "drivers", "sim", "policies", "calibration")
"""The top-level packages of this distribution. They lie side by side in one folder."""


class SiblingError(RobotRlError):
    """A top-level package of ours is missing, damaged or hidden by somebody else's of the same name."""


def check_siblings() -> Path:
    """Return the folder that holds all our packages; raise `SiblingError` when one comes from elsewhere.

    Nothing is imported: the packages are only looked up.
    """
    home = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        if found is None:
            raise SiblingError(f"the package {name!r} is missing beside {home / 'robot_rl'}. {_remedy()}")
        if found.origin is None:
            raise SiblingError(
                f"the package {name!r} has lost its __init__.py, as happens when another wheel with a "
                f"package of that name is removed. {_remedy()}"
            )
        folder = Path(found.origin).resolve().parents[1]
        if folder != home:
            raise SiblingError(
                f"the package {name!r} is found in {folder}, but robot_rl is in {home}: another package of "
                f"that name hides ours. Take {folder} off PYTHONPATH, or give robot_rl a virtual environment "
                f"of its own. {_remedy()}"
            )
    return home


def _remedy() -> str:
    return "To restore ours: pip install --force-reinstall --no-deps FOLDER_OF_THE_CHECKOUT"
