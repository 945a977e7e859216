# SPDX-License-Identifier: Apache-2.0
"""Draws docs/scale.svg from docs/scale.json: small panels, one quantity each.  Standard library only."""

import math
from html import escape

WIDTH, HEIGHT, COLUMNS = 380, 250, 3
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 40
COLOURS = ("#1b6ca8", "#c2571a", "#3d8b40")

# dimension, title, unit, scale of y, {label: function of a point}
PANELS = (
    ("applications", "Memory by applications", "MiB", "log",
     {"gateway, all call": lambda p: p["rss_gateway"], "gateway at rest": lambda p: p["rss_gateway_at_rest"],
      "node, all call": lambda p: p["rss_node"]}),
    ("applications", "CPU a relay by applications, all call", "us", "linear",
     {"gateway": lambda p: p["cpu_gateway"], "node": lambda p: p["cpu_node"]}),
    ("applications", "Time to start by applications", "s", "log",
     {"gateway": lambda p: p["start_gateway_s"], "node": lambda p: p["start_node_s"],
      "writing one entry": lambda p: p["write_s"]}),
    ("suppliers", "Memory by suppliers", "MiB", "log",
     {"gateway": lambda p: p["rss_gateway"], "node": lambda p: p["rss_node"]}),
    ("suppliers", "CPU of a session's change by suppliers", "ms", "log",
     {"gateway": lambda p: p["idle_gateway_ms"], "node": lambda p: p["idle_node_ms"],
      "keeper": lambda p: p["idle_keeper_ms"]}),
    ("suppliers", "Time to start by suppliers", "s", "log",
     {"gateway": lambda p: p["start_gateway_s"], "node": lambda p: p["start_node_s"],
      "writing one entry": lambda p: p["write_s"]}),
    ("sessions", "Memory by sessions in use", "MiB", "log",
     {"gateway": lambda p: p["rss_gateway"], "node": lambda p: p["rss_node"]}),
    ("links", "Memory of a node by links", "MiB", "log", {"node": lambda p: p["rss_node"]}),
    ("ledger", "Size of a ledger by leaves", "MiB", "log", {"files": lambda p: p["size_mib"]}),
    ("ledger", "Cost of a leaf by leaves", "us", "linear", {"CPU": lambda p: p["append_cpu_us"]}),
    ("ledger", "Time to open a ledger by leaves", "ms", "log", {"time": lambda p: p["open_ms"]}),
    ("workers", "Relays a second: gateway + node workers / CPUs", "1/s", "bars",
     {"relays": lambda p: p["rps"]}),
)


def short(value):
    """A number as a label."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.3g}"


class Axis:
    """Values to pixels; on a logarithmic one 0 stands at the lower end."""

    def __init__(self, values, first, last, kind):
        self.kind, self.first, self.last = kind, first, last
        if kind == "log":
            low = min(v for v in values if v > 0)
            self.low, self.high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(max(values)))
            self.high = max(self.high, self.low * 10)
        else:
            step = 10.0 ** math.floor(math.log10(max(values)))
            self.low, self.high = 0.0, math.ceil(max(values) / step * 1.05) * step

    def at(self, value):
        """The pixel of a value."""
        if self.kind == "log":
            share = math.log10(max(value, self.low) / self.low) / math.log10(self.high / self.low)
        else:
            share = value / self.high
        return self.first + share * (self.last - self.first)

    def ticks(self):
        """Where to put a label."""
        if self.kind == "log":
            count = round(math.log10(self.high / self.low))
            return [self.low * 10 ** k for k in range(count + 1)]
        return [self.high * k / 4 for k in range(5)]


def text(x, y, words, anchor="middle", size=10, colour="#333"):
    """One line of text."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}">{escape(words)}</text>')


def frame(title, unit, axis):
    """Title, unit and horizontal lines."""
    yield text(LEFT, 16, title, "start", 12, "#000")
    yield text(LEFT - 6, TOP - 6, unit, "end", 9, "#777")
    for value in axis.ticks():
        y = axis.at(value)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        yield text(LEFT - 6, y + 3, short(value), "end")


def at_of(point):
    """Where a point stands: sessions where they were counted, which may be fewer than were asked for."""
    return point["live"] if point["dimension"] == "sessions" else point["at"]


def lines(points, series, y):
    """Curves over a logarithmic x."""
    x = Axis([at_of(p) for p in points], LEFT + 8, WIDTH - RIGHT - 8, "log")
    for value in x.ticks():
        yield text(x.at(value), HEIGHT - BOTTOM + 15, short(value))
    for number, (label, value_of) in enumerate(series.items()):
        colour = COLOURS[number]
        places = [(x.at(at_of(p)), y.at(value_of(p))) for p in points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for a, b in places:
            yield f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>'
        yield text(LEFT + 4 + number * 106, HEIGHT - 8, label, "start", 10, colour)


def bars(points, series, y):
    """One bar a point."""
    value_of = next(iter(series.values()))
    step = (WIDTH - RIGHT - LEFT) / len(points)
    for number, point in enumerate(points):
        top, left = y.at(value_of(point)), LEFT + number * step + step * 0.2
        yield (f'<rect x="{left:.1f}" y="{top:.1f}" width="{step * 0.6:.1f}" '
               f'height="{HEIGHT - BOTTOM - top:.1f}" fill="{COLOURS[0]}"/>')
        ours, theirs, processors = point["at"]
        yield text(left + step * 0.3, HEIGHT - BOTTOM + 15, f"{ours}+{theirs}/{processors}")
        yield text(left + step * 0.3, top - 4, short(round(value_of(point))))


def panel(points, title, unit, kind, series):
    """The inside of one panel."""
    values = [value_of(p) for p in points for value_of in series.values()]
    y = Axis(values, HEIGHT - BOTTOM, TOP, "linear" if kind == "bars" else kind)
    yield from frame(title, unit, y)
    yield from (bars if kind == "bars" else lines)(points, series, y)


def draw(results):
    """The whole picture."""
    known = [p for p in PANELS if any(point["dimension"] == p[0] for point in results["points"])]
    rows = -(-len(known) // COLUMNS)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * COLUMNS}" height="{HEIGHT * rows}" '
           f'font-family="Helvetica, Arial, sans-serif">',
           '<rect width="100%" height="100%" fill="#fff"/>']
    for number, (dimension, title, unit, kind, series) in enumerate(known):
        points = [point for point in results["points"] if point["dimension"] == dimension]
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        out.append(f'<g transform="translate({x},{y})">')
        out.extend(panel(points, title, unit, kind, series))
        out.append("</g>")
    return "\n".join([*out, "</svg>"]) + "\n"
