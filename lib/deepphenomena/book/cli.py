"""The `deepphenomena` command.

Each command imports its dependencies when it runs, so that help, version and usage errors appear immediately.
"""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deepphenomena import __version__
from deepphenomena.runtime.errors import InputError, RunError

if TYPE_CHECKING:
    from deepphenomena.book.parameters import Value

_SECONDS_TO_STOP = 10  # more than a kernel needs to shut down
_TRY_AGAIN = 75  # the status of a piece that leaves work for the next one; EX_TEMPFAIL of sysexits.h


class _Parameter(click.ParamType):
    """`name=value`. It is split here and checked against the card later."""

    name = "name=value"

    def convert(self, value, param, ctx):
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise InputError(f"parameter '{value}' is not of the form name=value; write for example -p seeds=5")
        return name.strip(), text.strip()


def _quick() -> str:
    from deepphenomena.book.cards import QUICK

    return QUICK


_PRESET = click.option(
    "--preset", default=_quick, metavar="P", help="A preset of the chapter's card; 'quick' by default."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def command() -> None:
    """Re-run deep-learning theory: the chapters of the Deep Phenomena book."""


@command.command("list")
def list_chapters() -> None:
    """List the chapters, their presets and parameters."""
    from deepphenomena.book import cards
    from deepphenomena.book.cards import QUICK

    for slug in cards.slugs():
        card = cards.load(slug)
        click.echo(f"{slug}: {card.title}")
        click.echo(f"  {card.paper.authors[0]} et al. {card.paper.year}; {len(card.claims)} claims")
        click.echo(f"  presets: {', '.join([QUICK, *card.presets])}")
        for name, parameter in card.parameters.items():
            click.echo(f"  -p {name}={_literal(parameter.default)}  {parameter.help} ({parameter.allowed})")


@command.command()
@click.argument("slug")
@_PRESET
@click.option("-p", "parameters", type=_Parameter(), multiple=True, help="Override a parameter; can be repeated.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the executed notebook.")
def run(slug: str, preset: str, parameters: tuple[tuple[str, str], ...], out: Path | None) -> None:
    """Run a chapter and print its verdicts."""
    from deepphenomena.book import cards, claims_table, runner

    card = cards.load(slug)
    overrides = {name: card.parse(name, text) for name, text in parameters}
    executed, record = runner.execute(slug, preset=preset, overrides=overrides, out=out)
    click.echo(claims_table.claims_text(card, record))
    click.echo(f"executed notebook: {executed}")


@command.command()
@click.argument("slug")
@_PRESET
@click.option("--reuse-seeds", metavar="REASON", help="Record with seeds of an earlier attempt; the reason is shown.")
def record(slug: str, preset: str, reuse_seeds: str | None) -> None:
    """Run a chapter and write its record to data/results/ (quick: also its outputs to the notebook)."""
    from deepphenomena.book import cards, claims_table, runner

    file, made = runner.record(slug, preset=preset, reuse=reuse_seeds)
    click.echo(claims_table.claims_text(cards.load(slug), made))
    click.echo(f"recorded: {file}")


@command.command()
@click.argument("slug")
def parameters(slug: str) -> None:
    """Write the parameters cell of a chapter's notebook from its card."""
    from deepphenomena.book import parameters_cell

    click.echo(f"parameters cell written: {parameters_cell.write(slug)}")


@command.command()
@click.argument("slug")
@click.option("--paper", required=True, metavar="arXiv:NUMBER", help="The paper that the chapter re-runs.")
@click.option("--part", default="training-dynamics", show_default=True, help="The part of the book, as a folder name.")
def new(slug: str, paper: str, part: str) -> None:
    """Write a new chapter from the template and record its quick run. It is a draft, which does not count."""
    from deepphenomena.book import new_chapter, runner

    card = new_chapter.write(slug, paper=paper, part=part)
    runner.record(slug)
    click.echo(f"card: {card}\nnotebook: {card.with_suffix('.ipynb')}\nnow replace every line; then: make test")


@command.command()
@click.argument("slug")
@_PRESET
@click.option(
    "-p", "parameters", type=_Parameter(), multiple=True, help="Values of a parameter: seeds=3,5 or first_seed=0..9."
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, tcp://host:8786; this machine by default.")
@click.option("--workers", type=click.IntRange(1), help="Workers on this machine; one for every two cores by default.")
@click.option("--out", metavar="FOLDER", help="Where to keep the runs: a folder, or s3://bucket/folder.")
def sweep(slug: str, preset: str, parameters: tuple, scheduler: str | None, workers: int | None, out: str | None):
    """Run a chapter at every point of a grid of parameters. Finished runs are never repeated."""
    from deepphenomena.book import runner, sweeps

    out = out or str(runner.default_output(slug, preset, {}).parents[1] / "sweeps")
    done = sweeps.sweep(
        slug, parameters, out=out, preset=preset, scheduler=scheduler, workers=workers, report=click.echo
    )
    click.echo(f"{done.made} runs made, {done.found} found finished, {done.failed} failed")
    if done.table:
        click.echo(f"table: {done.table}")
    if done.failed:
        raise RunError(f"{done.failed} runs failed; each has left <key>.failed.json in {out}/{slug}")


@command.command()
@click.option("--stage", type=click.Path(path_type=Path), required=True, help="The folder for the notebooks.")
def reproduce(stage: Path) -> None:
    """Run every chapter at quick scale into STAGE/<part>/<slug>.ipynb."""
    from deepphenomena.book import cards, runner

    for number, slug in enumerate(cards.slugs(), start=1):
        card = cards.load(slug)
        click.echo(f"[{number}/{len(cards.slugs())}] {card.title}")
        runner.execute(slug, out=stage / card.part / f"{slug}.ipynb")


@command.command("scorecard")
@click.option(
    "--runs", type=click.Path(path_type=Path, exists=True), help="Read quick runs from executed notebooks here."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show_scorecard(runs: Path | None, as_json: bool) -> None:
    """Print the claims and verdicts of every chapter, and what changed since the last record."""
    from deepphenomena.book import runner, scorecard, scorecard_json

    collected = runner.collect(runs)
    click.echo(scorecard_json.text(collected) if as_json else scorecard.as_text(collected))


@command.group()
def gpu() -> None:
    """List, pack, run and keep the runs that want a GPU, also on a machine without internet."""


_GPU_PRESET = click.option("--preset", default="paper", show_default=True, metavar="P", help="The preset to run.")


@gpu.command("list")
@_GPU_PRESET
def gpu_list(preset: str) -> None:
    """List the runs and whether they are recorded."""
    from deepphenomena.book import gpu_queue

    for entry in gpu_queue.entries(preset):
        made = entry.recorded and entry.recorded.provenance
        state = (
            f"recorded {made.started:%Y-%m-%d} on {made.device}, {made.wall_seconds:.0f} s" if made else "not recorded"
        )
        click.echo(f"{entry.slug} --preset {entry.preset}: {state}")


@gpu.command("pack")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--python", default="3.12", show_default=True, help="The version of Python on the machine.")
@click.option("--platform", default="x86_64-manylinux_2_28", show_default=True, help="The machine's, in uv's words.")
def gpu_pack(folder: Path, python: str, platform: str) -> None:
    """Write FOLDER: all that a machine with JAX, Flax and seaborn, but no internet, needs for `FOLDER/run`."""
    from deepphenomena.book import gpu_queue

    gpu_queue.pack(folder, python=python, platform=platform)
    click.echo(f"copy {folder} to the machine and call there, until the status is 0: {folder.name}/run RESULTS")


@gpu.command("run")
@click.argument("folder", type=click.Path(path_type=Path))
@_GPU_PRESET
@click.option("--chapter", "slugs", multiple=True, help="This chapter; by default, every one that is not recorded.")
@click.option("--seconds", default=540.0, show_default=True, help="The time limit of this piece.")
@click.option("-p", "parameters", multiple=True, metavar="name=value", help="Override a parameter, for a trial.")
def gpu_run(folder: Path, preset: str, slugs: tuple[str, ...], seconds: float, parameters: tuple[str, ...]) -> None:
    """Run a piece of the queue; checkpoints and results are in FOLDER. Status 75: call it again to go on."""
    from deepphenomena.book import cards, gpu_queue

    for slug in slugs:
        cards.path(slug)
    found = gpu_queue.entries(preset)
    wanted = [entry for entry in found if (entry.slug in slugs if slugs else entry.recorded is None)]
    if not gpu_queue.run(folder, wanted, seconds=seconds, options=parameters, report=click.echo):
        sys.exit(_TRY_AGAIN)
    click.echo(f"done; bring {folder} back and say: deepphenomena gpu keep {folder}")


@gpu.command("keep")
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def gpu_keep(folder: Path) -> None:
    """Write the records of a FOLDER that came back from a machine to data/results/."""
    from deepphenomena.book import gpu_queue

    for file in gpu_queue.keep(folder):
        click.echo(f"recorded: {file}")


def _literal(value: "Value") -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)


def main() -> None:
    """Run the command. Exit with status 2 and one line for user errors, 1 for failed runs, 130 for Ctrl-C."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)
    try:
        command(standalone_mode=False)
    except InputError as error:
        _fail(str(error), 2)
    except RunError as error:
        _fail(str(error), 1)
    except click.ClickException as error:
        _fail(f"{error.format_message()} See 'deepphenomena --help'.", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        signal.alarm(0)
        _fail("interrupted: no file is incomplete; the same command resumes from its last checkpoint", 130)


def _interrupt(*_: Any) -> None:
    """Interrupt now and again after some seconds: an interrupt inside a destructor or a callback is lost."""
    signal.alarm(_SECONDS_TO_STOP)
    raise KeyboardInterrupt


def _fail(message: str, status: int) -> None:
    click.echo(f"deepphenomena: {message}", err=True)
    sys.exit(status)
