"""The check against foreign packages that have the names of ours, in processes with a rigged PYTHONPATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.core.siblings import PACKAGES, check_siblings

ROOT = Path(__file__).resolve().parents[2]
CHECK = "from robot_rl.core.siblings import check_siblings; check_siblings()"


def run_check(*path: Path) -> str:
    """Error message of the check with `path` as the module search path, "" when it passes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-S", "-P", "-c", CHECK]  # -S: without the packages of this venv
    result = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
    return result.stderr.strip().splitlines()[-1] if result.returncode else ""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages, as they would lie in site-packages."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    core = tmp_path / "robot_rl" / "core"
    core.mkdir()
    for name in ("__init__.py", "errors.py", "siblings.py"):
        shutil.copy(ROOT / "robot_rl" / "core" / name, core)
    return tmp_path


def test_the_packages_of_this_checkout_belong_together() -> None:
    assert check_siblings() == ROOT


def test_a_complete_installation_passes(copy: Path) -> None:
    assert run_check(copy) == ""


def test_a_foreign_package_is_named_with_its_place(
    copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = tmp_path_factory.mktemp("ros_workspace")
    (workspace / "sim").mkdir()
    (workspace / "sim" / "__init__.py").touch()
    message = run_check(workspace, copy)
    assert f"'sim' is found in {workspace}" in message
    assert "PYTHONPATH" in message


def test_a_clobbered_package_is_named(copy: Path) -> None:
    (copy / "drivers" / "__init__.py").unlink()
    assert "'drivers' has lost its __init__.py" in run_check(copy)


def test_a_missing_package_is_named(copy: Path) -> None:
    shutil.rmtree(copy / "calibration")
    assert "'calibration' is missing beside" in run_check(copy)
