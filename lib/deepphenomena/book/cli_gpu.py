"""The commands `deepphenomena gpu ...`: list, pack, run and keep the runs that want a GPU."""

import sys
from pathlib import Path

import click

_TRY_AGAIN = 75  # the status of a piece that leaves work for the next one; EX_TEMPFAIL of sysexits.h


@click.group()
def gpu() -> None:
    """Run what wants a GPU, also without internet."""


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
    """Write a folder for a machine without internet.

    FOLDER gets all that a machine with JAX, Flax and seaborn needs for `FOLDER/run`.
    """
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
    """Run a piece of the queue.

    Checkpoints and results are in FOLDER. Status 75: call it again to resume.
    """
    from deepphenomena.book import gpu_queue

    found = gpu_queue.entries(preset, slugs)
    wanted = [entry for entry in found if slugs or entry.recorded is None]
    if not wanted:
        click.echo(f"every {preset} run is recorded; name a --chapter to run it again")
        return
    if not gpu_queue.run(folder, wanted, seconds=seconds, options=parameters, report=click.echo):
        sys.exit(_TRY_AGAIN)
    click.echo(f"done; bring {folder} back and say: deepphenomena gpu keep {folder}")


@gpu.command("keep")
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def gpu_keep(folder: Path) -> None:
    """Keep the records of a folder that came back.

    The records of FOLDER go to data/results/.
    """
    from deepphenomena.book import gpu_queue

    for file in gpu_queue.keep(folder):
        click.echo(f"recorded: {file}")
