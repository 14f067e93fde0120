"""Two small plots as SVG text: bars, and lines over a logarithmic axis. Enough for docs/performance.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["bars", "lines"]

WIDTH = 720
BAR = 22
GAP = 8
LABEL = 260
MARGIN = 60
HEIGHT = 300
COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea")
"""Told apart by lightness too."""


def bars(title: str, unit: str, values: Sequence[tuple[str, float]]) -> str:
    """One horizontal bar a value, labelled on both sides; ours (labels that begin so) in another colour."""
    largest = max(value for _, value in values)
    room = WIDTH - LABEL - 110
    parts = []
    for index, (label, value) in enumerate(values):
        y, size = 40 + index * (BAR + GAP), max(1.0, room * value / largest)
        colour = COLOURS[0] if label.startswith("leafmirror") else "#94a3b8"
        parts += [
            _text(LABEL - 8, y + BAR - 6, label, anchor="end"),
            f'<rect x="{LABEL}" y="{y}" width="{size:.1f}" height="{BAR}" fill="{colour}"/>',
            _text(LABEL + size + 6, y + BAR - 6, short(value)),
        ]
    return _svg(50 + len(values) * (BAR + GAP), _text(8, 22, f"{title} ({unit})", weight="bold"), parts)


def lines(title: str, x_name: str, y_name: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Points joined by lines; x logarithmic, y from zero."""
    points = [point for line in series.values() for point in line]
    low, high = (math.log10(edge(x for x, _ in points)) for edge in (min, max))
    top = max(y for _, y in points) * 1.1

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / ((high - low) or 1)
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y / top * (HEIGHT - 2 * MARGIN)

    parts = [_text(8, 22, title, weight="bold")]
    ticks = sorted({x for x, _ in points})
    parts += [_text(place(x, 0)[0], HEIGHT - MARGIN + 18, short(x), anchor="middle") for x in ticks]
    for step in range(5):
        y = top * step / 4
        left, height = place(10**low, y)
        parts.append(f'<path d="M{left:.1f} {height:.1f}H{WIDTH - MARGIN}" stroke="#e2e8f0"/>')
        parts.append(_text(left - 8, height + 4, short(y), anchor="end"))
    parts.append(_text(WIDTH / 2, HEIGHT - 10, x_name, anchor="middle"))
    parts.append(_text(MARGIN, 42, y_name))
    for index, (name, line) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        placed = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed]
        parts.append(_text(WIDTH - MARGIN, 42 + 18 * index, name, anchor="end", colour=colour))
    return _svg(HEIGHT, "", parts)


def short(value: float) -> str:
    """Three digits and a unit: 1.23 M."""
    for bound, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= bound:
            return f"{value / bound:.3g}{unit}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{colour or "#334155"}">{escape(text)}</text>'
    )


def _svg(height: float, head: str, parts: Iterable[str]) -> str:
    body = "\n".join([head, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )
