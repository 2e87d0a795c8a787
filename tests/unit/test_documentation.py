"""The documentation against the code: commands, targets, folders, links, topics, and its Python."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.cli import COMMANDS
from robot_rl.data import recorder
from robot_rl.nodes import camera_topics

ROOT = Path(__file__).resolve().parents[2]
ROOT_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SAFETY.md", "CHANGELOG.md")]
PAGES = [*ROOT_PAGES, *sorted((ROOT / "docs").rglob("*.md"))]
ROS_PAGE = ROOT / "docs" / "ros.md"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> str:
    """All shell blocks and all code in the running text."""
    text = page.read_text()
    return "\n".join(code_blocks(page, "") + re.findall(r"`([^`\n]+)`", text))


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(name_of(p), t) for p in PAGES for t in re.findall(r"\bmake ([a-z][a-z-]+)", commands(p))}
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_every_command_exists() -> None:
    named = {(name_of(p), c) for p in PAGES for c in re.findall(r"\brobot-rl ([a-z]+)", commands(p))}
    assert {(page, command) for page, command in named if command not in COMMANDS} == set()


def test_every_script_and_launch_file_exists() -> None:
    file = re.compile(r"\b((?:benchmarks|launch|examples)/[\w./]+\.py)\b")
    named = {(name_of(page), path) for page in PAGES for path in file.findall(commands(page))}
    assert {(page, path) for page, path in named if not (ROOT / path).is_file()} == set()


def test_every_link_of_the_root_pages_leads_somewhere() -> None:
    link = re.compile(r"\]\(([^)#]+)[^)]*\)")
    named = {(name_of(page), path) for page in ROOT_PAGES for path in link.findall(page.read_text())}
    assert {(p, path) for p, path in named if "://" not in path and not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", [p for p in PAGES if code_blocks(p, "python")], ids=name_of)
def test_python_of_the_documentation_runs(page: Path) -> None:
    for block in code_blocks(page, "python"):
        result = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_the_command_line_page_lists_every_command() -> None:
    page = (ROOT / "docs" / "command_line.md").read_text()
    assert set(re.findall(r"^\| `robot-rl ([a-z-]+)", page, re.MULTILINE)) == set(COMMANDS)


def test_the_readme_is_short_and_knows_the_folders() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    folders = re.findall(r"^\| `(\w+)/`", text, re.MULTILINE)
    assert len(folders) == 8
    assert all((ROOT / folder).is_dir() for folder in folders)


def interfaces_of_the_nodes() -> set[str]:
    """Every topic that a node publishes and every service that it offers, read from the source."""
    found: set[str] = set()
    for file in (ROOT / "robot_rl" / "nodes").glob("*.py"):
        tree = ast.parse(file.read_text())
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("create_publisher", "create_service"):
                    name = node.args[1]
                    found |= literal_names(
                        constants.get(name.id, name) if isinstance(name, ast.Name) else name
                    )
            elif isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "TOPICS" for target in node.targets
            ):
                found |= set(ast.literal_eval(node.value))
    return found


def literal_names(argument: ast.expr) -> set[str]:
    """The name in a call; `OBJECT` and `CAMERA` stand for the parts that are computed."""
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    if isinstance(argument, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "OBJECT" for part in argument.values]
        return {"".join(map(str, parts))}
    if isinstance(argument, ast.Name) and argument.id.endswith("_TOPIC"):
        return {getattr(recorder, argument.id)}
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name):
        return {getattr(camera_topics, argument.func.id)("CAMERA")}
    return set()


def test_the_ros_page_lists_every_topic_and_service() -> None:
    listed = set(re.findall(r"^\| `([\w/]+)` \|", ROS_PAGE.read_text(), re.MULTILINE))
    assert listed == interfaces_of_the_nodes()
