"""The script that tests the ends of the version ranges: its form; the ranges themselves take a network and minutes."""

import re

import versions
import yaml
from packaging.requirements import Requirement
from packaging.version import Version


def test_every_dependency_declares_the_floor_that_the_script_installs():
    for requirement in versions.requirements():
        assert versions.floor(requirement) >= Version("0.0.1"), requirement


def test_a_floor_that_is_not_what_was_installed_is_named():
    wanted = [Requirement("jax>=0.8"), Requirement("numpy>=2.0"), Requirement("scipy>=1.13")]
    assert versions.above_floor({"jax": "0.8.0", "numpy": "2.0.0", "scipy": "1.13"}, wanted) == []
    (fault,) = versions.above_floor({"jax": "0.8.0", "numpy": "2.0.0", "scipy": "1.13.1"}, wanted)
    assert "scipy 1.13.1 instead of 1.13" in fault
    assert len(versions.above_floor({}, wanted)) == 3


def test_what_is_left_out_exists():
    for name in versions.LEFT_OUT:
        assert (versions.ROOT / name).exists()


def test_the_workflow_runs_every_end_and_every_python_that_is_declared():
    jobs = yaml.safe_load((versions.ROOT / ".github" / "workflows" / "versions.yml").read_text())["jobs"]
    rows = jobs["ends"]["strategy"]["matrix"]["include"]
    assert {row["end"] for row in rows} == {"lowest", "newest"}
    project = (versions.ROOT / "pyproject.toml").read_text()
    lowest = re.search(r'requires-python = ">=([0-9.]+)"', project).group(1)
    assert {row["python"] for row in rows} == {lowest, *jobs["pythons"]["strategy"]["matrix"]["python"]}
