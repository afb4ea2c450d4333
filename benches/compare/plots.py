"""Charts. `python -m compare.plots` draws the JSON on stdin.

It runs in its own process because matplotlib would add to the smallest peak memory that the
measuring process can see.
"""

import json
import sys
from statistics import median

import matplotlib
from matplotlib import pyplot, ticker

matplotlib.use("svg")

COLORS = ("#b3541e", "#1f5fa8")
MARKERS = ("s", "o")


def draw(picture: str, axis: str, x: list[int], lines: dict[str, list[list[float]]]) -> None:
    """Draws lines to the file `picture`: for each x of a line, the values of its runs."""
    # Text stays text, and equal figures give equal files.
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": axis, "font.family": "sans-serif"}
    )
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    places = range(len(x))
    for (name, points), color, marker in zip(lines.items(), COLORS, MARKERS, strict=True):
        middle = [median(values) for values in points]
        below = [value - min(values) for value, values in zip(middle, points, strict=True)]
        above = [max(values) - value for value, values in zip(middle, points, strict=True)]
        errors = [below, above]
        axes.errorbar(
            places, middle, yerr=errors, label=name, color=color, marker=marker, capsize=3
        )
    # Even distances: most x values are multiples of each other, and one latency is 0.
    axes.set_xticks(places, [f"{value:,}".replace(",", "\u202f") for value in x])
    axes.set_xlabel(axis)
    axes.set_ylabel("µs per row")
    every = [value for points in lines.values() for values in points for value in values]
    if max(every) > 10 * min(every):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    else:
        axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    draw(**json.load(sys.stdin))
