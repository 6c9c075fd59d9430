"""Plots as inline SVG: the browser's own fonts show the Chinese, and paper shows them as sharp as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

COLOURS = {
    "green": "#3f9b63", "amber": "#e0a526", "red": "#cf5247", "grey": "#b3bac4", "blue": "#2f6db3", "pale": "#cfdff0",
    "done": "#3f9b63", "ongoing": "#2f6db3", "planned": "#e0a526", "unstated": "#9aa7b8", "none": "#dfe3e8",
    "ink": "#27323f", "line": "#d8dee6",
}  # fmt: skip


def _text(x: float, y: float, text: object, anchor: str = "start", size: int = 12, fill: str = "#27323f") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}"'
    return f"<text {place}>{escape(str(text))}</text>"


def _rect(x: float, y: float, width: float, height: float, fill: str, title: str = "", radius: float = 0) -> str:
    tip = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}" rx="{radius}" '
        f'fill="{fill}">{tip}</rect>'
    )


def _svg(width: float, height: float, label: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label, quote=True)}" '
        f'style="max-width:{width:.0f}px">{"".join(body)}</svg>'
    )


def _wide(text: str) -> float:
    """Width of a label in points at size 12: Chinese characters take twice the room of Latin ones."""
    return sum(12.0 if ord(character) > 0x2E7F else 6.6 for character in text)


def _cut(text: str, room: float) -> str:
    if _wide(text) <= room:
        return text
    while text and _wide(text) > room - 12:
        text = text[:-1]
    return text + "…"


def stacked_bars(
    label: str, rows: Sequence[tuple[str, Sequence[float]]], parts: Sequence[tuple[str, str]], width: float = 760
) -> str:
    """Return horizontal bars, each divided into parts.

    Args:
        label: what the plot shows, for those who cannot see it.
        rows: (name, a value for each part).
        parts: (name, colour) of each part, for the legend.
        width: of the drawing.
    """
    room = min(210.0, max((_wide(name) for name, _ in rows), default=40) + 10)
    most = max((sum(values) for _, values in rows), default=0) or 1
    scale = (width - room - 50) / most
    body, at = [], 0.0
    for name, colour in parts:
        body += [_rect(at, 2, 12, 12, colour, radius=2), _text(at + 17, 13, name)]
        at += _wide(name) + 36
    y = 26.0
    for name, values in rows:
        body.append(_text(room - 8, y + 13, _cut(name, room - 8), "end"))
        x = room
        for (part, colour), value in zip(parts, values, strict=True):
            if value > 0:
                body.append(_rect(x, y, value * scale - 1, 17, colour, f"{name} {part} {value:g}"))
                if value * scale > 22:
                    body.append(_text(x + value * scale / 2, y + 13, f"{value:g}", "middle", 11, "#ffffff"))
                x += value * scale
        body.append(_text(x + 5, y + 13, f"{sum(values):g}", size=11, fill="#5b6673"))
        y += 23
    return _svg(width, y + 2, label, body)


def task_grid(label: str, cells: Sequence[tuple[str, str, str]], width: float = 760, across: int = 22) -> str:
    """Return a square a task; cells are (number, colour, what is told on pointing at it)."""
    side = width / across
    body = []
    for index, (number, colour, tip) in enumerate(cells):
        x, y = index % across * side, index // across * side
        body.append(_rect(x + 1, y + 1, side - 3, side - 3, colour, tip, 3))
        pale = colour in (COLOURS["none"], COLOURS["grey"], COLOURS["amber"])
        fill = "#27323f" if pale else "#ffffff"
        body.append(_text(x + side / 2 - 0.5, y + side / 2 + 4, number, "middle", 12, fill))
    rows = (len(cells) + across - 1) // across
    return _svg(width, rows * side, label, body)


def timeline(
    label: str, periods: Sequence[str], bars: Sequence[float], line: Sequence[float], top: float, width: float = 760
) -> str:
    """Return bars a period with a rising line over them.

    Args:
        label: what the plot shows.
        periods: names below the bars, in order.
        bars: a value a period.
        line: a value a period, on a scale of its own.
        top: the most the line can reach.
        width: of the drawing.
    """
    height, left, right, base = 210.0, 34.0, 34.0, 178.0
    if not periods:
        return ""
    step = (width - left - right) / len(periods)
    most = max(bars) or 1
    body = [f'<path d="M{left} {base}H{width - right}" stroke="{COLOURS["line"]}"/>']
    every = max(1, round(len(periods) / 14))
    points = []
    for index, (name, value, level) in enumerate(zip(periods, bars, line, strict=True)):
        x = left + index * step
        tall = value / most * (base - 30)
        body.append(_rect(x + step * 0.15, base - tall, step * 0.7, tall, COLOURS["pale"], f"{name} 关联 {value:g}"))
        if step > 26 and value:
            body.append(_text(x + step / 2, base - tall - 4, f"{value:g}", "middle", 10, "#5b6673"))
        if index % every == 0:
            body.append(_text(x + step / 2, base + 16, name, "middle", 10, "#5b6673"))
        points.append((x + step / 2, base - level / (top or 1) * (base - 30)))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    body.append(f'<path d="{path}" fill="none" stroke="{COLOURS["blue"]}" stroke-width="2.2"/>')
    x, y = points[-1]
    body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS["blue"]}"/>')
    body.append(_text(min(x, width - 34), y - 8, f"{line[-1]:g}/{top:g}", "middle", 11, COLOURS["blue"]))
    return _svg(width, height, label, body)


def risk_coverage(label: str, probabilities: Sequence[float], threshold: float, width: float = 760) -> str:
    """Return the share of links filed without reading against the share of them expected to be wrong.

    Args:
        label: what the plot shows.
        probabilities: calibrated, of all links.
        threshold: least probability of a link that needs no reading; marked.
        width: of the drawing.
    """
    chain = sorted(probabilities, reverse=True)
    if not chain:
        return ""
    left, top, base, right = 52.0, 16.0, 190.0, 20.0
    wrong, errors = 0.0, []
    for count, probability in enumerate(chain, 1):
        wrong += 1 - probability
        errors.append(wrong / count)
    most = max(0.05, *errors) if errors else 0.05
    points = [
        (left + (i + 1) / len(chain) * (width - left - right), base - error / most * (base - top))
        for i, error in enumerate(errors)
    ]
    keep = points if len(points) < 400 else [points[round(i * (len(points) - 1) / 399)] for i in range(400)]
    body = [f'<path d="M{left} {top}V{base}H{width - right}" fill="none" stroke="{COLOURS["line"]}"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + share * (width - left - right)
        body.append(_text(x, base + 16, f"{share:.0%}", "middle", 10, "#5b6673"))
    for share in (0, 0.5, 1):
        y = base - share * (base - top)
        body.append(_text(left - 6, y + 4, f"{share * most:.1%}", "end", 10, "#5b6673"))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in keep)
    body.append(f'<path d="{path}" fill="none" stroke="{COLOURS["blue"]}" stroke-width="2.2"/>')
    sure = sum(probability >= threshold for probability in chain)
    if sure:
        x, y = points[sure - 1]
        body.append(f'<path d="M{x:.1f} {top}V{base}" stroke="{COLOURS["green"]}" stroke-dasharray="4 3"/>')
        place, anchor = (x - 6, "end") if x > width * 0.6 else (x + 6, "start")
        body.append(_text(place, top + 10, f"概率不低于 {threshold:g}：{sure} 条", anchor, 11, COLOURS["green"]))
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS["green"]}"/>')
    body.append(_text((left + width) / 2, base + 32, "自动归档的比例", "middle", 11))
    return _svg(width, base + 38, label, body)
