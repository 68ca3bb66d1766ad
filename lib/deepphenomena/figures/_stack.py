"""The form of a figure for a phone: its panels one below the other, as parts of the one drawing that is stored."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

WIDEST = 350.0  # points; text of 11 points in a figure of this width has 11 pixels on a screen of 390
_GAP = 10.0  # between the parts, in points
_OVERHANG = 6.0  # of tick labels beyond the ends of their axis
_HANDLE = 36.0  # points to the left of a legend's text that its line or marker takes


class View(NamedTuple):
    """A rectangle of the drawing and where it goes, in points from the top left."""

    x: float
    y: float
    width: float
    height: float
    to_x: float
    to_y: float


class Stack(NamedTuple):
    """Where the parts of a figure go on a narrow screen: size in points, and views of the drawing."""

    width: float
    height: float
    views: list[View]


class _Panel(NamedTuple):
    """Axes with their place in the grid, and boxes of the drawing in points."""

    axis: Axes
    row: int
    column: int
    outer: Bbox  # with all that belongs to the axes but the label of y, which can reach beside the next row
    inner: Bbox
    label: Bbox | None  # of y


def stacked(figure: Figure) -> Stack | None:
    """Return the stack of a drawn figure, or None for a figure that is narrow already or has a single column.

    A panel that shares an axis with its neighbours is shown with the tick labels and the label of that axis, which
    the drawing has only at its margin. The resolution of the figure becomes that of its SVG, 72 points an inch.
    """
    figure.set_dpi(72)  # the SVG was drawn with it; a text has its place only in the resolution of the last drawing
    grid = [axis for axis in figure.axes if axis.get_subplotspec() is not None and (axis.axison or axis.has_data())]
    if figure.get_figwidth() * 72 <= WIDEST or len({axis.get_subplotspec().colspan.start for axis in grid}) < 2:
        return None
    panels = [_measured(figure, axis) for axis in grid]
    bars = [_place(figure, axis.get_tightbbox()) for axis in figure.axes if axis.get_subplotspec() is None]
    beside = bars if len({panel.row for panel in panels}) == 1 else []
    parts = [_views(panel, panels, beside) for panel in panels]
    parts += [[_view(bar, 0.0, 0.0)] for bar in bars if not beside]
    views = _in_lines(parts, 0.0)
    views += _in_lines([[entry] for entry in _entries(figure)], _lower_end(views) + _GAP / 2)
    width = max(view.to_x + view.width for view in views)
    rounded = [View(*(round(float(number), 1) for number in view)) for view in views]
    return Stack(round(float(width), 1), round(float(_lower_end(views)), 1), rounded)


def _measured(figure: Figure, axis: Axes) -> _Panel:
    place, label = axis.get_subplotspec(), axis.yaxis.label
    beside = _place(figure, label.get_window_extent()).padded(1.5) if axis.axison and label.get_text() else None
    label.set_visible(False)
    outer, inner = _place(figure, axis.get_tightbbox()), _place(figure, axis.get_window_extent())
    label.set_visible(True)
    return _Panel(axis, place.rowspan.start, place.colspan.start, outer, inner, beside)


def _in_lines(parts: list[list[View]], top: float) -> list[View]:
    """Return the views of the parts, one part beside the other as long as a line takes them, from `top` downwards."""
    views, across, line = [], 0.0, top
    for part in parts:
        width = max(view.to_x + view.width for view in part)
        if across and across + width > WIDEST:
            across, line = 0.0, _lower_end(views) + _GAP
        views += [view._replace(to_x=view.to_x + across, to_y=view.to_y + line) for view in part]
        across += width + _GAP
    return views


def _lower_end(views: list[View]) -> float:
    return max(view.to_y + view.height for view in views)


def _views(panel: _Panel, panels: list[_Panel], beside: list[Bbox]) -> list[View]:
    """Return the views of a panel: its own part of the drawing, and what it shares with others."""
    first = min((other for other in panels if other.row == panel.row), key=lambda other: other.column)
    last = max((other for other in panels if other.column == panel.column), key=lambda other: other.row)
    top, left, views = panel.outer.y0, 0.0, []
    side = first if panel.axis.axison and not _labelled(panel.axis.yaxis) else panel
    if side.label:
        views.append(_view(side.label, 0.0, side.label.y0 - top))
        left = side.outer.x0 - side.label.x0
    if side is not panel:
        upper, lower = side.inner.y0 - _OVERHANG, side.inner.y1 + _OVERHANG
        strip = Bbox.from_extents(side.outer.x0, upper, side.inner.x0 - 1, lower)
        views.append(_view(strip, left, upper - top))
        left += strip.width
    views.append(_view(panel.outer, left, 0.0))
    if last is not panel and panel.axis.axison and not _labelled(panel.axis.xaxis):
        start = max(last.outer.x0, last.inner.x0 - 2 * _OVERHANG)
        strip = Bbox.from_extents(start, last.inner.y1 + 1, last.outer.x1, last.outer.y1)
        to_x = left + start - last.inner.x0 + panel.inner.x0 - panel.outer.x0
        views.append(_view(strip, to_x, panel.inner.y1 + 1 - top))
    right = max(view.to_x + view.width for view in views) + _GAP
    views += [_view(bar, right, bar.y0 - top) for bar in beside]
    above = min(view.to_y for view in views)
    return [view._replace(to_y=view.to_y - above) for view in views]


def _entries(figure: Figure) -> list[View]:
    """Return the views of the entries of the legend."""
    boxes = [_place(figure, text.get_window_extent()) for legend in figure.legends for text in legend.get_texts()]
    return [_view(Bbox.from_extents(box.x0 - _HANDLE, box.y0 - 2, box.x1 + 2, box.y1 + 2), 0.0, 0.0) for box in boxes]


def _view(box: Bbox, to_x: float, to_y: float) -> View:
    return View(box.x0, box.y0, box.width, box.height, to_x, to_y)


def _place(figure: Figure, pixels: Bbox) -> Bbox:
    """Return a box of the canvas, in pixels from below, in points from above."""
    box, height = pixels.transformed(figure.dpi_scale_trans.inverted()), figure.get_figheight()
    return Bbox.from_extents(box.x0 * 72, (height - box.y1) * 72, box.x1 * 72, (height - box.y0) * 72)


def _labelled(axis: Axis) -> bool:
    return any(label.get_text() and label.get_visible() for label in axis.get_ticklabels())
