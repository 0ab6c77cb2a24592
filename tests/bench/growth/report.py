"""Results as a table of the documentation and as curves. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.bench.growth.cases import AXES, FIGURES, Case, list_values
from tests.bench.growth.fit import Spread, fit_exponent, make_spread

Results = Mapping[str, Mapping[str, Sequence[float]]]
"""The figures of all runs, by case and by figure."""


class Curve(NamedTuple):
    """A figure over an axis."""

    axis: str
    figure: str
    sizes: list[int]
    spreads: list[Spread]

    @property
    def exponent(self) -> float:
        """The slope of the medians over the whole axis."""
        return fit_exponent(self.sizes, [one.median for one in self.spreads])

    @property
    def last(self) -> float:
        """The slope over the last step, which no fixed cost flattens."""
        return fit_exponent(self.sizes[-2:], [one.median for one in self.spreads[-2:]])

    @property
    def is_steep(self) -> bool:
        """True if it grows faster than it may, beyond the spread of the runs."""
        allowed = FIGURES[self.figure].most
        steps = self.sizes[-1] / self.sizes[0]
        bound: float = self.spreads[0].most * steps**allowed
        return self.spreads[-1].least > bound


def list_curves(results: Results, most_tasks: int, base: Case) -> list[Curve]:
    """Return all curves of which at least two points were measured."""
    return [
        curve
        for axis in AXES
        for figure in FIGURES
        if len((curve := _make_curve(results, axis, figure, most_tasks, base)).sizes)
        > 1
    ]


def _make_curve(
    results: Results, axis: str, figure: str, most_tasks: int, base: Case
) -> Curve:
    sizes: list[int] = []
    spreads: list[Spread] = []
    for value in list_values(axis, most_tasks):
        case = base._replace(**{axis: value})
        if runs := results.get(case.key, {}).get(figure):
            sizes.append(value)
            spreads.append(make_spread(runs))
    return Curve(axis, figure, sizes, spreads)


def write_table(curves: Sequence[Curve]) -> str:
    """Return a table in Markdown for each axis."""
    return "\n".join(
        "\n".join(_write_axis([curve for curve in curves if curve.axis == axis]))
        for axis in AXES
        if any(curve.axis == axis for curve in curves)
    )


BEGIN, END = "<!-- growth -->\n", "<!-- /growth -->\n"
"""Lines of a page between which the tables are."""


def replace_tables(page: str, tables: str) -> str:
    """Return a page of the documentation with other tables."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + tables + "\n" + END + rest.partition(END)[2]


def _write_axis(curves: Sequence[Curve]) -> Iterator[str]:
    sizes = max((curve.sizes for curve in curves), key=len)
    head = [f"{size:,}" for size in sizes]
    yield f"| {curves[0].axis} | {' | '.join(head)} | exponent | of the last step |"
    yield "|---" * (len(sizes) + 3) + "|"
    for curve in curves:
        found = dict(zip(curve.sizes, curve.spreads, strict=True))
        cells = [_write_spread(found.get(size)) for size in sizes]
        figure = FIGURES[curve.figure]
        steep = " **too steep**" if curve.is_steep else ""
        yield (
            f"| {figure.text}, {figure.unit} | {' | '.join(cells)} "
            f"| {curve.exponent:.2f}{steep} | {curve.last:.2f} |"
        )
    yield ""


def _write_spread(found: Spread | None) -> str:
    if found is None:
        return ""
    text = _write_number(found.median)
    if found.least == found.most:
        return text
    return f"{text} ({_write_number(found.least)} to {_write_number(found.most)})"


def _write_number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


# -- curves ----------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP = 260, 220, 40, 30
COLORS = (
    *("#1f77b4", "#6baed6", "#d62728", "#2ca02c"),
    *("#98df8a", "#bcbd22", "#9467bd", "#7f7f7f"),
)


def draw_curves(curves: Sequence[Curve]) -> str:
    """Return an SVG: a panel an axis, each figure relative to its first point.

    Both scales are logarithmic: a line that rises by one square a square grows in
    proportion to the size.
    """
    axes = [axis for axis in AXES if any(one.axis == axis for one in curves)]
    width = len(axes) * (WIDTH + LEFT) + 20
    height = HEIGHT + TOP + 40 + 16 * math.ceil(len(FIGURES) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, axis in enumerate(axes):
        own = [curve for curve in curves if curve.axis == axis]
        x = LEFT + number * (WIDTH + LEFT)
        parts += [f'<g transform="translate({x},{TOP})">', *_draw_panel(own), "</g>"]
    parts += _draw_legend(HEIGHT + TOP + 44)
    return "\n".join([*parts, "</svg>", ""])


def _draw_panel(curves: Sequence[Curve]) -> Iterator[str]:
    low, high = curves[0].sizes[0], max(curve.sizes[-1] for curve in curves)
    decades = math.log10(high / low)
    scale = WIDTH / max(decades, 1)
    middle = HEIGHT - scale / 2
    yield f'<text x="0" y="-10" font-weight="bold">{curves[0].axis}</text>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>'
    yield from _draw_lines(low, scale, middle)
    for curve in curves:
        first = curve.spreads[0].median
        points = " ".join(
            f"{math.log10(size / low) * scale:.1f},"
            f"{_clip(middle - math.log10(one.median / first) * scale):.1f}"
            for size, one in zip(curve.sizes, curve.spreads, strict=True)
        )
        color = COLORS[list(FIGURES).index(curve.figure)]
        yield (
            f'<polyline points="{points}" fill="none" stroke="{color}" '
            'stroke-width="2"/>'
        )


def _clip(y: float) -> float:
    return min(max(y, 0.0), float(HEIGHT))


def _draw_lines(low: int, scale: float, middle: float) -> Iterator[str]:
    """Yield a line at ten times as much, and the sizes below."""
    factor, y = 1, middle
    while y >= 0:
        yield f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#ddd"/>'
        yield f'<text x="-4" y="{y + 4:.1f}" text-anchor="end">{factor} x</text>'
        factor, y = factor * 10, y - scale
    x, size = 0.0, low
    while x <= WIDTH + 1:
        yield f'<path d="M{x:.1f} 0V{HEIGHT}" stroke="#ddd"/>'
        text = f"{size:,}"
        yield f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{text}</text>'
        x, size = x + scale, size * 10
    yield (
        f'<path d="M0 {middle:.1f}L{min(middle, WIDTH):.1f} '
        f'{max(middle - WIDTH, 0):.1f}" stroke="#999" stroke-dasharray="4 3"/>'
    )


def _draw_legend(y: int) -> Iterator[str]:
    for number, figure in enumerate(FIGURES.values()):
        x, line = LEFT + number % 2 * 320, y + 16 * (number // 2)
        color = COLORS[number]
        yield f'<path d="M{x} {line - 4}h20" stroke="{color}" stroke-width="3"/>'
        yield f'<text x="{x + 26}" y="{line}">{figure.text}</text>'
    yield (
        f'<text x="{LEFT + 640}" y="{y}">dashed: in proportion to the size; '
        "both scales are logarithmic</text>"
    )
