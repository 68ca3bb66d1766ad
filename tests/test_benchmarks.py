"""The benchmarks: a peer's form runs in any Python that has the peer, and one that cannot run says why."""

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import contestants
import report
from contestants import Timing, Workload

PEERS = Path(contestants.__file__).parent / "peers"


def imported(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("file", sorted(PEERS.glob("*.py")), ids=lambda file: file.stem)
def test_a_peers_file_needs_the_peer_alone(file):
    peer = {"pytorch": {"torch"}, "tangents": {"neural_tangents", "jax"}, "usual_numpy": {"numpy"}}
    assert imported(file) <= peer.get(file.stem, set()) | {"peers"}


@pytest.mark.parametrize("file", [contestants.__file__, str(PEERS / "sizes.py")], ids=["contestants", "sizes"])
def test_what_another_python_starts_needs_no_package(file):
    inside_functions = {"deepphenomena"}
    assert imported(Path(file)) - inside_functions <= sys.stdlib_module_names


def test_every_peer_that_a_workload_names_is_there():
    from workloads import WORKLOADS

    for workload in WORKLOADS.values():
        for form in workload.load().values():
            if isinstance(form, str):
                module, name = form.split(".")
                defined = [node.name for node in ast.parse((PEERS / f"{module}.py").read_text()).body
                           if isinstance(node, ast.FunctionDef)]  # fmt: skip
                assert name in defined, form


def test_a_form_that_cannot_run_is_left_out_with_the_reason(monkeypatch):
    forms = {"ours": "usual_numpy.singular_values", "a peer": "absent.form", "another": "usual_numpy.singular_values"}
    monkeypatch.setattr(Workload, "load", lambda self: forms)
    monkeypatch.setattr(contestants, "SETTLE", 0.0)
    workload = Workload("", ("a peer",), long=True)
    timings, left_out = contestants.alternate(workload, 1, {"another": "/no/such/python"})
    assert list(timings) == ["ours"]
    assert "No module named 'peers.absent'" in left_out["a peer"]
    assert "No such file" in left_out["another"]
    line = report.line(report.row("a workload", workload, timings, left_out))
    assert "a peer left out: No module named 'peers.absent'" in line


def test_a_row_keeps_the_versions_of_every_form_and_the_reasons():
    timings = {form: Timing([0.2], 1.0, 10, {"python": "3.11"}) for form in ("ours", "PyTorch")}
    row = report.row("a workload", Workload("", ("PyTorch",)), timings, {"another": "why"})
    assert row["forms"]["PyTorch"]["versions"] == {"python": "3.11"}
    assert row["left_out"] == {"another": "why"}
    assert report.provenance()["commit"]
