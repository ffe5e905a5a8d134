# SPDX-License-Identifier: MIT
"""The plots of compare: SVG by matplotlib, if it is there."""

import statistics
import sys

try:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot, ticker

    # The same figures make the same file, with text in it that can be searched.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tofu"})
except ImportError:
    pyplot = None

COLOURS = {"tofu": "#0b5fa5", "tofu-caller": "#7b3fa0", "tofu-poll": "#5aa5de", "zmq": "#c8461e", "nng": "#3f8f3f", "raw": "#777777",
           "tofu-copies": "#5aa5de", "tofu-single": "#5aa5de"}


def medians(runs, figure, along, program, **where):
    """The points of a line: medians of a figure, by another one, where the system chose the cores."""
    groups = {}
    for run in runs:
        if run["program"] == program and not run["pinned"] and run.get(figure) is not None and all(run[k] == v for k, v in where.items()):
            groups.setdefault(run[along], []).append(run[figure])
    at = sorted(groups)
    return at, [statistics.median(groups[x]) for x in at]


def finish(figure, axes, out, name):
    for ax in axes:
        ax.grid(True, which="major", alpha=0.3)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(out / name, metadata={"Date": None})
    pyplot.close(figure)


def line(ax, program, x, y):
    if x:
        ax.plot(x, y, marker="o", markersize=4, label=program, color=COLOURS.get(program),
                linewidth=2.8 if program == "tofu" else 1.4, linestyle="--" if program == "raw" else "-")


def number(ax):
    """Labels within the decades of a logarithmic axis, too: few of ours span more than two."""
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def size_name(size):
    return f"{size // 1024} KiB" if size >= 1024 and size % 1024 == 0 else f"{size} B"


def apart(sizes):
    """Those that have room for a label on a logarithmic axis: 60 KiB and 65535 B would be written over each other."""
    kept = []
    for size in sizes:
        if not kept or size >= kept[-1] * 1.5:
            kept.append(size)
    return kept


def throughput(out, runs, programs):
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), sharey="row")
    sizes = apart(sorted({run["size"] for run in runs if run["work"] == "throughput"}))
    for column, (transport, name) in enumerate((("tcp", "TCP"), ("uds", "Unix"))):
        for row, (value, unit) in enumerate((("messages_per_s", "messages per second"),
                                             ("bytes_per_s", "bytes of bodies per second"))):
            ax = axes[row][column]
            for program in programs:
                x, y = medians(runs, value, "size", program, work="throughput", transport=transport)
                line(ax, program, x, y)
            ax.set(xscale="log", yscale="log", xlabel="size of a body", ylabel=unit,
                   title=f"One way, one connection, {name}")
            ax.set_xscale("log", base=2)
            ax.set_xticks(sizes, [size_name(size) for size in sizes], rotation=45)
            ax.tick_params(labelleft=True)
    finish(figure, axes.flat, out, "throughput.svg")


def latency(out, runs, programs):
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    names = {"p50_ns": "50", "p90_ns": "90", "p99_ns": "99", "p999_ns": "99.9", "max_ns": "all"}
    for ax, (transport, name) in zip(axes, (("tcp", "TCP"), ("uds", "Unix"))):
        for program in programs:
            points = [medians(runs, p, "size", program, work="latency", transport=transport)[1] for p in names]
            if all(points):
                line(ax, program, list(names.values()), [p[0] / 1e3 for p in points])
        ax.set(yscale="log", xlabel="percent that took no longer", ylabel="round trip, microseconds",
               title=f"Round trips one after the other, 64 B, {name}")
        number(ax)
        ax.tick_params(labelleft=True)
    finish(figure, axes, out, "latency.svg")


def idle(out, runs, programs):
    figure, ax = pyplot.subplots(figsize=(7, 4.5))
    for program in programs:
        x, y = medians(runs, "cpu_ns_per_message", "channels", program, work="connections")
        line(ax, program, x, [v / 1e3 for v in y])
    ax.set(xscale="log", yscale="log", xlabel="idle connections", ylabel="processor time of a round trip, microseconds",
           title="Cost beside idle connections, 64 B, TCP, both processes together")
    number(ax)
    finish(figure, [ax], out, "idle.svg")


def memory(out, runs, programs):
    most = max((r["channels"] for r in runs if r["work"] == "connections"), default=0)
    figure, ax = pyplot.subplots(figsize=(7, 4.5))
    for offset, end, alpha in ((-0.2, "server", 1.0), (0.2, "client", 0.5)):
        for place, program in enumerate(programs):
            _, y = medians(runs, f"{end}_bytes", "channels", program, work="connections", channels=most)
            if y:
                bar = ax.bar(place + offset, y[0], 0.38, color=COLOURS.get(program), alpha=alpha)
                ax.bar_label(bar, [f"{y[0]:,.0f}"], fontsize=8)
    # The legend is of the shades; the colours stand below.
    for end, alpha in (("server", 1.0), ("client", 0.5)):
        ax.bar(0, 0, color="#444444", alpha=alpha, label=end)
    ax.set_xticks(range(len(programs)), programs)
    ax.set(ylabel="resident memory of one end, bytes", title=f"An idle connection, TCP, of {most:,}")
    finish(figure, [ax], out, "memory.svg")


def draw(out, runs, programs):
    if pyplot is None:
        print("compare: no plots: matplotlib is missing (Debian: python3-matplotlib)", file=sys.stderr)
        return
    runs = [run for run in runs if run["transport"] != "tls"]  # four cases make no plot
    for plot, work in ((throughput, "throughput"), (latency, "latency"), (idle, "connections"),
                       (memory, "connections")):
        those = {run["program"] for run in runs if run["work"] == work}
        if those:
            plot(out, runs, [program for program in programs if program in those])
