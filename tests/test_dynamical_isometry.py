"""The dynamical isometry chapter: off the critical line, and with kernels that are no isometries, its claims fail."""

import nbformat
import papermill
import pytest

from deepphenomena.book import cards, records, results, runner
from deepphenomena.book.claims import judge

SLUG = "dynamical_isometry"
SMALL = {
    "seeds": 3, "theory_width": 512, "map_steps": 2, "map_depths": [4, 8], "map_weight_variances": [0.8, 1.76],
    "depths": [4, 64], "steps": 60, "deep_depth": 500, "deep_steps": 10, "gaussian_steps": 2, "jacobian_depths": [1, 4],
    "train_samples": 200, "test_samples": 100, "cost_depths": [4, 16],
}  # fmt: skip

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # papermill and its kernels warn of what no reader can fix
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def record_of(tmp_path, *changes):
    """The record of the notebook with every (right, wrong) change made, in a few seconds' size."""
    notebook = nbformat.read(runner.notebook_path(SLUG), as_version=4)
    for right, wrong in changes:
        (cell,) = [cell for cell in notebook.cells if right in cell.source]
        cell.source = cell.source.replace(right, wrong)
    broken, out = tmp_path / "broken.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook, broken)
    papermill.execute_notebook(str(broken), str(out), parameters=SMALL, progress_bar=False, kernel_name="python3")
    return records.read(out)


def test_weights_a_tenth_off_the_line_turn_verdicts(tmp_path):
    made = record_of(
        tmp_path,
        ("kernel = jnp.sqrt(weight_variance) * draw(weights, shape)",
         "kernel = 0.9 * jnp.sqrt(weight_variance) * draw(weights, shape)"),
        ("kernel = jnp.sqrt(weight_variance) * draw(key,", "kernel = 0.9 * jnp.sqrt(weight_variance) * draw(key,"),
        ("STARTS[start](weight**0.5))(keys[0]", "STARTS[start](0.9 * weight**0.5))(keys[0]"),
        ("kernel_init=STARTS[start](weight**0.5)", "kernel_init=STARTS[start](0.9 * weight**0.5)"),
    )  # fmt: skip
    assert made.void, "at this size the memory checks fail, and a failing check voids the run"
    card, recorded = cards.load(SLUG), results.recorded(SLUG, "quick")
    for name in (
        "variance_fixed_point", "correlation_fixed_point", "correlation_depth_scale", "gradient_factor",
        "spatial_modes_die",
    ):  # fmt: skip
        measured, expectation = card.find(name), card.find(name).expectation("quick")
        assert judge(measured, made.outcome(name).sample, expectation).holds is False, name
        assert judge(measured, recorded.outcome(name).sample, expectation).holds is not False, name
