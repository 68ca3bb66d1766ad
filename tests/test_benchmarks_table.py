"""The table of the benchmarks."""

from deepphenomena.book import benchmarks


def results(ratio):
    def form(seconds):
        return {"median_seconds": seconds, "first_call_seconds": 1.0, "peak_memory_bytes": 10}

    peak = {"workload": "matmul peak", "forms": {"ours": form(0.1)}, "best_peer": None, "ratio": None, "must": None}
    row = {"workload": "a step", "forms": {"ours": form(0.1), "PyTorch": form(0.1 * ratio)}, "best_peer": "PyTorch"}
    row |= {"ratio": ratio, "must": 1.2, "memory_ratio": 0.5, "gigaflops": 50.0}
    made = {"processor": "a <processor>", "cores": 2, "written": "2026-01-02T03:04:05", "commit": None}
    return {
        "rows": [peak | {"memory_ratio": None, "gigaflops": 200.0}, row],
        "provenance": made | {"versions": {"jax": "0.12", "torch": None}},
    }


def test_a_row_says_whether_the_ratio_asked_for_is_reached():
    assert "✓ yes" in benchmarks.benchmarks_html(results(1.3))
    missed = benchmarks.benchmarks_html(results(1.1))
    assert "✗ no" in missed
    assert "✓ yes" not in missed
    assert "25%" in missed  # of the peak
    assert "a &lt;processor&gt;" in missed
    assert "torch" not in missed


def test_the_page_says_why_an_alternative_was_left_out():
    measured = results(1.3)
    measured["rows"][1]["left_out"] = {"neural-tangents": "No module named 'neural_tangents'"}
    shown = benchmarks.benchmarks_html(measured)
    assert "Left out: neural-tangents: No module named &#x27;neural_tangents&#x27;." in shown
    assert "Left out" not in benchmarks.benchmarks_html(results(1.3))
