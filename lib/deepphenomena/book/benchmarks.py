"""The benchmark table of the library and its alternatives, from `make bench`."""

import html

from deepphenomena.book import tables


def benchmarks_html(results: dict) -> str:
    """Return the recorded benchmarks: ours, the fastest alternative, the target ratio, and the hardware."""
    peak = next((row["gigaflops"] for row in results["rows"] if row["best_peer"] is None), None)
    rows = []
    for row in results["rows"]:
        ours, best = row["forms"]["ours"], row["forms"].get(row["best_peer"])
        cells = [_milliseconds(ours), "–" if best is None else f"{row['best_peer']}, {_milliseconds(best)}"]
        cells += [_number(row["ratio"]), _number(row["must"])]
        cells.append("–" if row["must"] is None or row["ratio"] is None else _reached(row["ratio"] >= row["must"]))
        cells.append(_number(row["memory_ratio"]))
        cells.append(f"{row['gigaflops'] / peak:.0%}" if row["gigaflops"] and peak else "–")
        rows.append(
            f'<tr><th scope="row">{html.escape(row["workload"])}</th>' + "".join(map(tables.cell, cells)) + "</tr>"
        )
    names = [
        "Workload",
        "Ours",
        "Best peer",
        "Ratio",
        "Must reach",
        "Reached",
        "Memory, ours / peer's",
        "Share of peak",
    ]
    made = results["provenance"]
    line = (
        f"{made['processor']}, {made['cores']} cores; {made['written'][:10]}; commit {(made['commit'] or '?')[:10]}; "
    )
    line += ", ".join(f"{name} {version}" for name, version in made["versions"].items() if version)
    table = tables.scrolling(
        "Benchmarks: medians of alternating runs", "".join(map(tables.column, names)), tables.body(rows)
    )
    return f"{table}{_left_out(results['rows'])}<p><small>{html.escape(line)}</small></p>"


def _left_out(rows: list[dict]) -> str:
    """Say which alternatives could not be measured, and why."""
    reasons = {f"{form}: {why}" for row in rows for form, why in row.get("left_out", {}).items()}
    return "".join(f"<p>Left out: {html.escape(reason)}.</p>" for reason in sorted(reasons))


def _milliseconds(form: dict) -> str:
    return f"{1e3 * form['median_seconds']:,.3g} ms"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _reached(yes: bool) -> str:
    return "✓ yes" if yes else "✗ no"
