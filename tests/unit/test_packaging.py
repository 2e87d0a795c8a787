"""The distribution: what may be imported when, what is declared and pinned, and what the wheel holds."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import robot_rl
from robot_rl.core.siblings import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = ("jax", "torch", "rclpy", "mujoco", "pybullet", "cv2", "pyrealsense2")

BLOCK = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} must not be imported here")

sys.meta_path.insert(0, Blocker())
"""


def modules_with_settings() -> list[str]:
    """Our top-level packages, all tasks, and every module called settings."""
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    chosen = [m for m in modules if m.startswith("robot_rl.tasks.") or m.endswith(".settings")]
    return [*PACKAGES, *sorted(m.removesuffix(".__init__") for m in chosen)]


def requirements(extra: str | None = None) -> list[Requirement]:
    project = PROJECT["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def run_python(code: str) -> None:
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_settings_and_tasks_load_without_heavy_libraries() -> None:
    imports = "\n".join(f"import {module}" for module in modules_with_settings())
    run_python(BLOCK + imports)


def test_the_command_line_explains_itself_without_heavy_libraries() -> None:
    run_python(
        BLOCK
        + "sys.argv = ['robot-rl', '--help']\n"
        + "from robot_rl.cli import main\n"
        + "sys.exit(main())\n"
    )


def test_versions_agree() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml")
    assert robot_rl.__version__ == PROJECT["project"]["version"] == manifest.findtext("version")


def test_there_are_at_most_ten_extras() -> None:
    assert len(PROJECT["project"]["optional-dependencies"]) <= 10


@pytest.mark.parametrize("extra", [None, *PROJECT["project"]["optional-dependencies"]])
def test_constraints_pin_every_requirement_to_a_version_it_accepts(extra: str | None) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {Requirement(line) for line in lines if line and not line.startswith("#")}
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    assert all(re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(pin.specifier)) for pin in pins)
    for requirement in requirements(extra):
        pinned = versions.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement.name} is not pinned"
        assert requirement.specifier.contains(pinned, prereleases=True), f"{requirement} but {pinned}"


def test_every_imported_package_is_declared() -> None:
    graph = grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)
    imported = {m for m in graph.modules if graph.is_module_squashed(m)}
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [r for extra in (None, *extras) if extra != "dev" for r in requirements(extra)]
    names = {canonicalize_name(r.name) for r in declared}
    owners = importlib.metadata.packages_distributions()
    for module in sorted(imported - set(sys.stdlib_module_names)):
        distributions = {canonicalize_name(d) for d in owners.get(module, [])}
        distributions |= {f"ros-{d}" for d in distributions}
        assert distributions & names, f"{module} is imported but no dependency of pyproject.toml has it"


def test_every_part_of_robot_rl_has_its_layer() -> None:
    contract = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    layers = {name.strip("() ") for line in contract["layers"] for name in re.split(r"[|:]", line)}
    parts = [p for p in (ROOT / "robot_rl").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    assert {f"robot_rl.{p.stem}" for p in parts if p.stem != "__init__"} <= layers


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the files that git knows, built from a copy so that the checkout stays clean."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, check=True, text=True
    )
    expected = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert expected <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_nothing_outside_its_packages(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.startswith("robot_rl-")} == set(PACKAGES)


def test_an_installed_wheel_is_a_ros_package(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    prefix = next(tmp_path.glob("*.data")) / "data"
    code = "from ament_index_python import get_package_share_directory as f; print(f('robot_rl'))"
    environment = os.environ | {"AMENT_PREFIX_PATH": str(prefix)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    share = Path(result.stdout.strip())
    assert share == prefix / "share" / "robot_rl"
    launch_files = {path.name for path in (ROOT / "launch").glob("*.launch.py")}
    assert {path.name for path in (share / "launch").glob("*")} == launch_files


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has no other to wake")
def test_numpy_multiplies_with_one_thread() -> None:
    code = (
        "import os, robot_rl, numpy as np; a = np.ones((400, 400)); a @ a; "
        "print(len(os.listdir('/proc/self/task')))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
