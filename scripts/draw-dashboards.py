#!/usr/bin/env python3
"""Draws the dashboards of Grafana from a running Prometheus, without Grafana: draw-dashboards.py [MINUTES [URL]]

Writes docs/pictures/NAME.svg for each dashboard of deploy/observability/grafana/dashboards, of the last MINUTES (5).
Without a URL it asks the Prometheus that start-services.sh --observe has started.
"""

import html
import json
import math
import pathlib
import sys
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
DASHBOARDS = ROOT / "deploy/observability/grafana/dashboards"
PICTURES = ROOT / "docs/pictures"
COLUMN, ROW, GAP, TITLE = 50, 27, 8, 34  # pixels
POINTS = 90
MOST_LEGENDS = 4
COLORS = ["#2f6fb4", "#d9822b", "#3d9950", "#c23b3b", "#7d5ab5", "#8a6d4b", "#d067a3", "#6b7280"]
UNITS = {"s": [(86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")],
         "bytes": [(2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")],
         "Bps": [(2**20, "MiB/s"), (2**10, "KiB/s"), (1, "B/s")],
         "percentunit": [(0.01, "%")], "short": [(1e6, "M"), (1e3, "k"), (1, "")]}


def number(value, unit):
    """In words, with three digits at most."""
    if value == 0:
        return "0"
    size, name = next((one for one in UNITS[unit] if abs(value) >= one[0]), UNITS[unit][-1])
    return f"{value / size:.3g} {name}".strip()


def range_of(url, query, end, seconds):
    """The lines of a query: [(labels, [(seconds since the begin, value)])]."""
    step = max(5, seconds / POINTS)
    query = query.replace("$__rate_interval", f"{max(20, math.ceil(step))}s")
    asked = urllib.parse.urlencode({"query": query, "start": end - seconds, "end": end, "step": step})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{asked}", timeout=30) as answer:
        data = json.load(answer)
    if data["status"] != "success":
        raise SystemExit(f"{query}: {data['error']}")
    lines = [(one["metric"], [(at - end + seconds, float(value)) for at, value in one["values"]])
             for one in data["data"]["result"]]
    lines = [(labels, [point for point in points if math.isfinite(point[1])]) for labels, points in lines]
    return [line for line in lines if line[1]]


def legend_of(form, labels):
    for name, value in labels.items():
        form = form.replace("{{%s}}" % name, value)
    return form


def text(x, y, words, **style):
    style = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.0f}" y="{y:.0f}"{style}>{html.escape(words)}</text>'


def top_of(value):
    """The next round number."""
    if value <= 0:
        return 1
    size = 10 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= value * 0.999)


def curves(panel, lines, box, seconds):
    x, y, w, h = box
    unit = panel["fieldConfig"]["defaults"]["unit"]
    left, right, top, bottom = x + 66, x + w - 12, y + 34, y + h - 56
    highest = top_of(max(value for _, points in lines for _, value in points))
    out = []
    for share in (0, 0.5, 1):
        at = bottom - share * (bottom - top)
        out.append(f'<line x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e3e6ea"/>')
        out.append(text(left - 6, at + 4, number(share * highest, unit), text_anchor="end", fill="#6b7280"))
    for i, (legend, points) in enumerate(lines):
        color = COLORS[i % len(COLORS)]
        path = " ".join(f"{left + at / seconds * (right - left):.1f},{bottom - value / highest * (bottom - top):.1f}"
                        for at, value in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        if i < MOST_LEGENDS:
            column, row = i % 2, i // 2
            width = (w - 24) / 2
            words = legend if len(legend) < width / 6.4 - 3 else legend[:int(width / 6.4) - 4] + "…"
            at_x, at_y = x + 12 + column * width, y + h - 26 + 16 * row
            out.append(f'<rect x="{at_x:.0f}" y="{at_y - 8:.0f}" width="10" height="3" fill="{color}"/>')
            out.append(text(at_x + 15, at_y, words))
    out.append(text(left, bottom + 13, f"-{seconds // 60} min", fill="#6b7280"))
    out.append(text(right, bottom + 13, "now", text_anchor="end", fill="#6b7280"))
    return out


def draw_panel(url, panel, end, seconds):
    grid = panel["gridPos"]
    x, y = grid["x"] * COLUMN + GAP / 2, TITLE + grid["y"] * ROW + GAP / 2
    w, h = grid["w"] * COLUMN - GAP, grid["h"] * ROW - GAP
    lines = [(legend_of(target["legendFormat"], labels), points) for target in panel["targets"]
             for labels, points in range_of(url, target["expr"], end, seconds)]
    out = [f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#fff" stroke="#d5d9df" rx="3"/>',
           text(x + 12, y + 20, panel["title"], font_weight="bold")]
    if not lines:
        out.append(text(x + w / 2, y + h / 2 + 6, "no data", text_anchor="middle", fill="#6b7280"))
    elif panel["type"] == "stat":
        value = number(lines[0][1][-1][1], panel["fieldConfig"]["defaults"]["unit"])
        out.append(text(x + w / 2, y + h / 2 + 26, value, text_anchor="middle", font_size="30", fill=COLORS[0]))
    else:
        out += curves(panel, lines, (x, y, w, h), seconds)
    return out


def draw(url, dashboard, end, seconds):
    panels = dashboard["panels"]
    height = TITLE + max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * ROW + GAP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {height}" font-family="sans-serif"'
           ' font-size="12" fill="#1f2933">',
           f'<rect width="{24 * COLUMN}" height="{height}" fill="#f4f5f7"/>',
           text(GAP / 2, 23, dashboard["title"], font_size="17", font_weight="bold")]
    for panel in panels:
        out += draw_panel(url, panel, end, seconds)
    return "\n".join([*out, "</svg>", ""])


def main():
    seconds = int(60 * float(sys.argv[1])) if len(sys.argv) > 1 else 300
    port = ROOT / ".run/prometheus/port"
    if len(sys.argv) < 3 and not port.exists():
        raise SystemExit("no Prometheus; run scripts/start-services.sh --observe")
    url = sys.argv[2] if len(sys.argv) > 2 else f"http://127.0.0.1:{port.read_text().strip()}"
    end = time.time()
    PICTURES.mkdir(exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        picture = PICTURES / f"{path.stem}.svg"
        picture.write_text(draw(url, json.loads(path.read_text()), end, seconds))
        print(picture.relative_to(ROOT))


if __name__ == "__main__":
    main()
