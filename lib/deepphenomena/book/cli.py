"""The `deepphenomena` command.

Each command imports its dependencies when it runs, so that help, version and usage errors appear immediately.
"""

import logging
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deepphenomena import __version__
from deepphenomena.book.cli_gpu import gpu
from deepphenomena.runtime.errors import InputError, RunError, one_line

if TYPE_CHECKING:
    from deepphenomena.book.parameters import Value

_SECONDS_TO_STOP = 10  # more than a kernel needs to shut down
_DEBUG = "DEEPPHENOMENA_DEBUG"  # set it to 1 to see tracebacks
_UNFORESEEN = 70  # the status of a fault of this program; EX_SOFTWARE of sysexits.h


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
@click.argument("slug", required=False)
def list_chapters(slug: str | None) -> None:
    """List the chapters; with SLUG, its presets and parameters."""
    from deepphenomena.book import cards
    from deepphenomena.book.cards import QUICK

    if slug is None:
        width = max(map(len, cards.slugs()))
        for card in map(cards.load, cards.slugs()):
            click.echo(f"{card.slug:<{width}}  {card.title} ({card.paper.authors[0]} et al. {card.paper.year})")
        click.echo("\nPresets and parameters of one: deepphenomena list SLUG")
        return
    card = cards.load(slug)
    click.echo(f"{card.title}\n{card.paper.authors[0]} et al. {card.paper.year}; {len(card.claims)} claims")
    click.echo(f"presets: {', '.join([QUICK, *card.presets])}")
    for name, parameter in card.parameters.items():
        click.echo(f"-p {name}={_literal(parameter.default)}\n    {parameter.help} ({parameter.allowed})")


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
    """Run a chapter and keep its record.

    The record goes to data/results/, the outputs of a quick run also to the notebook.
    """
    from deepphenomena.book import cards, claims_table, runner

    file, made = runner.record(slug, preset=preset, reuse=reuse_seeds)
    click.echo(claims_table.claims_text(cards.load(slug), made))
    click.echo(f"recorded: {file}")


@command.command()
@click.argument("slug")
def parameters(slug: str) -> None:
    """Write a notebook's parameters cell from its card."""
    from deepphenomena.book import parameters_cell

    click.echo(f"parameters cell written: {parameters_cell.write(slug)}")


@command.command()
@click.argument("slug")
@click.option("--paper", required=True, metavar="arXiv:NUMBER", help="The paper that the chapter re-runs.")
@click.option("--part", default="training-dynamics", show_default=True, help="The part of the book, as a folder name.")
def new(slug: str, paper: str, part: str) -> None:
    """Write a new chapter from the template.

    It is a draft, which does not count. Its quick run is recorded.
    """
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
    """Run a chapter over a grid of parameters.

    Finished runs are never repeated.
    """
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
    """Run every chapter at quick scale.

    The executed notebooks are STAGE/<part>/<slug>.ipynb.
    """
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
    """Print every claim and its verdict.

    Also prints what changed since the last record.
    """
    from deepphenomena.book import runner, scorecard, scorecard_json

    collected = runner.collect(runs)
    click.echo(scorecard_json.text(collected) if as_json else scorecard.as_text(collected))


command.add_command(gpu)


def _literal(value: "Value") -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)


def main() -> None:
    """Run the command.

    Exit with status 2 and one line for user errors, 1 for failed runs, 130 for Ctrl-C, and 70 for a fault of the
    program, whose traceback is kept in a file. DEEPPHENOMENA_DEBUG=1 shows every traceback.
    """
    _accept_any_terminal()
    signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "SIGALRM"):  # Windows has none
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
        _alarm(0)
        _fail("interrupted: no file is incomplete; the same command resumes from its last checkpoint", 130)
    except BrokenPipeError:  # the reader of a pipe, for example `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error}; this is a fault of the program{_kept_traceback()}", _UNFORESEEN)


def _kept_traceback() -> str:
    """Write the traceback of the current exception to a file; return where it is, as part of a sentence."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="deepphenomena-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(traceback.format_exc())
    except OSError:
        return f"; {_DEBUG}=1 shows its traceback"
    return f". Report it with {file.name}"


def _accept_any_terminal() -> None:
    """Replace signs that the terminal's encoding lacks, instead of failing on them."""
    for stream in filter(lambda stream: hasattr(stream, "reconfigure"), (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="replace")


def _interrupt(*_: Any) -> None:
    """Interrupt now and again after some seconds: an interrupt inside a destructor or a callback is lost."""
    logging.getLogger("asyncio").disabled = True  # else it shows how the kernel ended that was interrupted as well
    _alarm(_SECONDS_TO_STOP)
    raise KeyboardInterrupt


def _alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _fail(message: str, status: int) -> None:
    if os.environ.get(_DEBUG) == "1":
        traceback.print_exc()
    click.echo(f"deepphenomena: {one_line(message)}", err=True)
    sys.exit(status)
