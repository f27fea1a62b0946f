"""The curves of a run as SVG, drawn by matplotlib. matplotlib is used here and nowhere else."""

import io

import numpy as np

from ...run.history import Curve, History

LOSS, HELD_OUT, TRAINED, COUNT = "#d9822b", "#2b6fd9", "#8a8a8a", "#4a8a4a"


def plots(history: History) -> list[str]:
    """SVG elements: loss, PSNR, number of splats; each only where there is something to show."""
    found = []
    if history.loss.values:
        found.append(_plot("Loss", [(history.loss, LOSS, "", "-")], is_noisy=True))
    if history.held_out_db.values:
        lines = [(history.held_out_db, HELD_OUT, "held-out views", "-o")]
        if history.train_db.values:
            lines.append((history.train_db, TRAINED, "training views", "-o"))
        found.append(_plot("PSNR, dB", lines))
    if history.gaussians.values:
        found.append(_plot("Splats", [(history.gaussians, COUNT, "", "-")]))
    return found


def _plot(title: str, lines: list[tuple[Curve, str, str, str]], is_noisy: bool = False) -> str:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text, in the page's own font
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for curve, color, name, style in lines:
        steps, values = np.array(curve.steps), np.array(curve.values)
        if is_noisy and len(values) > 40:
            reach = len(values) // 40
            sums = np.concatenate([[0.0], np.cumsum(values)])
            ends = np.arange(1, len(values) + 1)
            starts = np.maximum(0, ends - reach)
            axes.plot(steps, values, color=color, alpha=0.3, linewidth=0.7)
            values = (sums[ends] - sums[starts]) / (ends - starts)
        axes.plot(steps, values, style, color=color, label=name, markersize=4)
    axes.set_title(title, loc="left")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if any(name for _, _, name, _ in lines):
        axes.legend(frameon=False)
    content = io.StringIO()
    figure.savefig(content, format="svg")
    text = content.getvalue()
    return text[text.index("<svg") :]
