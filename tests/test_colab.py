"""A student in Colab: one notebook, an empty folder, JAX and little else. Its first cell brings the rest, from a clone
of the last commit in place of the public address."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deepphenomena.book import cards, records, runner

# One environment for all: one worker.
pytestmark = pytest.mark.xdist_group("colab")

ROOT = Path(__file__).parents[1]
SLUG = "large_learning_rate_phase"
COLABS_OWN = ("jax", "numpy", "matplotlib", "ipython", "ipykernel")
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
PINS = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def call(*command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(python: Path) -> dict[str, str]:
    program = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    return json.loads(call(python, "-c", program))


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A fresh environment: (a function that runs a chapter at smoke scale in it, packages before, the commit)."""
    folder = tmp_path_factory.mktemp("colab")
    python, uv = folder / "env" / "bin" / "python", [sys.executable, "-m", "uv"]
    call(*uv, "venv", "--quiet", "--seed", "--python", sys.executable, folder / "env")
    # The lock's versions, to have the same tomorrow; pip is free to choose others only of what was there before.
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(f"{name}=={version}" for name, version in PINS.items()))
    call(*uv, "pip", "install", "--quiet", "--python", python, "--constraint", constraints, *COLABS_OWN)
    before = installed(python)
    colabs = {name.lower() for name in before}
    constraints.write_text("\n".join(f"{name}=={version}" for name, version in PINS.items() if name not in colabs))

    call("git", "clone", "--quiet", "--bare", ROOT, folder / "clone.git")
    commit = call("git", "-C", folder / "clone.git", "rev-parse", "HEAD").strip()
    call("git", "-C", folder / "clone.git", "update-ref", "refs/heads/main", commit)
    kernel = folder / "jupyter" / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    launch = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": launch, "display_name": "Colab", "language": "python"}))
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = inherited | {
        "JUPYTER_PATH": str(folder / "jupyter"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{(folder / 'clone.git').as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "PIP_CONSTRAINT": str(constraints),
        "PIP_NO_COMPILE": "1",
    }

    def run(slug):
        """(its record, packages after) of a lone notebook in an empty folder."""
        empty = folder / slug
        empty.mkdir(exist_ok=True)
        shutil.copy(runner.notebook_path(slug), empty / "lone.ipynb")
        arguments = ["lone.ipynb", "out.ipynb", "-p", "preset", "smoke", "-k", "colab", "--no-progress-bar"]
        call(sys.executable, "-m", "papermill", *arguments, cwd=empty, env=environment)
        return records.read(empty / "out.ipynb"), installed(python)

    return run, before, commit


@pytest.fixture(scope="module")
def first(colab):
    """The first chapter, whose first cell installs the library: (its record, packages after)."""
    run, *_ = colab
    return run(SLUG)


def test_a_lone_notebook_runs_through(colab, first):
    (record, after), (_, before, commit) = first, colab
    assert "deepphenomena" not in before
    assert "deepphenomena" in after
    assert (record.preset, record.overrides) == ("smoke", {})
    assert {use.provenance for use in record.datasets} == {"embedded"}
    assert record.provenance.commit == commit, "the record names the commit it was installed from"


def test_the_first_cell_leaves_what_was_there_in_place(colab, first):
    (record, after), (_, before, _) = first, colab
    assert {name: after.get(name) for name in before} == before
    assert record.provenance.versions["jax"] == before["jax"] == PINS["jax"]


@pytest.mark.parametrize("slug", [slug for slug in cards.slugs() if slug != SLUG])
def test_every_other_chapter_runs_through_too(colab, first, slug):
    if not os.environ.get("ALL") and not runner.changed(slug):
        pytest.skip("unchanged since its outputs were stored; ALL=1 runs it all the same")
    run, before, _ = colab
    record, after = run(slug)
    assert (record.preset, record.overrides) == ("smoke", {})
    assert {use.provenance for use in record.datasets} == {"embedded"}
    assert {name: after.get(name) for name in before} == before
