"""The labels of logarithmic axes."""

import math

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

_DECADES = 2.2  # a longer axis has labels at powers of ten alone
_SHORT = (1e-3, 1e5)  # numbers in between are written out


def write_powers(axis: Axis) -> None:
    """Label an axis, if it is logarithmic, so that no two labels overlap: powers, or 1, 2 and 5 of two decades or less.

    Matplotlib labels the minor ticks of a short range as well, over each other.
    """
    if axis.get_scale() != "log":
        return
    low, high = sorted(axis.get_view_interval())
    axis.set_minor_formatter(NullFormatter())
    if math.log10(high / low) > _DECADES:
        return
    locator = LogLocator(subs=(1.0, 2.0, 5.0))
    if not 3 <= sum(low <= tick <= high for tick in locator.tick_values(low, high)) <= 7:
        locator = MaxNLocator(4)
    axis.set_major_locator(locator)
    if _SHORT[0] <= low and high <= _SHORT[1]:
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,g}"))
