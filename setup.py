"""For colcon only, which looks for this file; all metadata is in pyproject.toml."""

from setuptools import setup

setup()
