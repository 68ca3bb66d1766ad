"""The benchmark table: `python tests/benchmarks [--only NAME ...] [--repeats N] [--record]`.

Every form of a workload (ours, PyTorch, a naive JAX form, ...) lives in its own process, so that their thread pools
and allocators cannot disturb each other; the forms run in turn, and the table gives medians of the alternating runs
and the median of their paired ratios. On a shared machine read the ratios.
"""

import click
import report
from contestants import Unavailable, alternate
from workloads import WORKLOADS


@click.command(help=__doc__)
@click.option("--only", multiple=True, type=click.Choice(sorted(WORKLOADS)), help="These workloads alone.")
@click.option("--repeats", default=9, show_default=True, type=click.IntRange(1), help="Timed runs of each form.")
@click.option("--interpreter", "interpreters", multiple=True, metavar="FORM=PYTHON", help="Another Python for a form.")
@click.option("--record", is_flag=True, help="Also write data/results/benchmarks.json, with provenance.")
def main(only: tuple[str, ...], repeats: int, interpreters: tuple[str, ...], record: bool) -> None:
    pythons = dict(entry.split("=", 1) for entry in interpreters)
    click.echo(report.header())
    for name, workload in WORKLOADS.items():
        if only and name not in only:
            continue
        try:
            row = report.row(name, workload, *alternate(workload, repeats, pythons))
        except Unavailable as problem:
            click.echo(f"{name}: left out, {problem}")
            continue
        click.echo(report.line(row))
        if record:  # row by row: an interrupted table keeps what it has
            report.write([row])


main()
