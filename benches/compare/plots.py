"""Owns the picture of a curve. `python -m compare.plots` draws what comes to it as JSON; the process that measures does
not import this file, so that it stays small."""

import json
import sys
from statistics import median

import matplotlib
from matplotlib import pyplot, ticker

matplotlib.use("svg")

COLOURS = ("#b3541e", "#1f5fa8")
MARKS = ("s", "o")


def draw(picture: str, along: str, at: list[int], lines: dict[str, list[list[float]]]) -> None:
    """Draws lines into a file: for each step of a line the values of its runs."""
    # Text stays text, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": along, "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    places = range(len(at))
    for (name, runs), colour, mark in zip(lines.items(), COLOURS, MARKS, strict=True):
        middle = [median(values) for values in runs]
        below = [value - min(values) for value, values in zip(middle, runs, strict=True)]
        above = [max(values) - value for value, values in zip(middle, runs, strict=True)]
        axes.errorbar(places, middle, yerr=[below, above], label=name, color=colour, marker=mark, capsize=3)
    # The steps stand at even distances: most of them are factors, and one of the latencies is nothing.
    axes.set_xticks(places, [f"{step:,}".replace(",", "\u202f") for step in at])
    axes.set_xlabel(along)
    axes.set_ylabel("µs a row")
    every = [value for runs in lines.values() for values in runs for value in values]
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
