"""The picture of the comparison: a group of bars for each load."""

import html
import statistics

from table import short

WIDTH, LEFT, RIGHT, BAR, GAP, TITLE = 890, 92, 270, 20, 18, 44  # pixels
# For light and for dark backgrounds. A viewer without media queries shows the light one, on a ground of its own.
STYLE = """
.ground{fill:#ffffff}.text{fill:#1f2933}.faint{fill:#5b6672}.c0{fill:#2f6fb4}.c1{fill:#8fa3b8}.c2{fill:#d9a066}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117}.text{fill:#e6edf3}.faint{fill:#9aa7b4}.c0{fill:#5b9be0}.c1{fill:#66788a}.c2{fill:#b07a45}}
"""


def text(x, y, words, kind="text", **style):
    style = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text class="{kind}" x="{x}" y="{y}"{style}>{html.escape(words)}</text>'


def group(y, load, results):
    """The bars of one load. The longest has the whole width."""
    rates = [result.median("rate") for result in results]
    longest, full = max(rates), WIDTH - LEFT - RIGHT
    yield text(8, y + 12, load.title, font_weight="bold")
    for i, (result, rate) in enumerate(zip(results, rates, strict=True)):
        top, length = y + 20 + i * (BAR + 4), max(1, full * rate / longest)
        label = f"{short(rate)} {load.unit}" + (f", order-svc has {short(statistics.median(result.factors(results[0])))} x" if i else "")
        yield text(LEFT - 8, top + 14, result.contender, "faint", text_anchor="end")
        yield f'<rect class="c{i}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        yield text(round(LEFT + length + 8), top + 14, label)


def draw(measured):
    """Returns the SVG."""
    title = "order-svc and the same order path in Go and Rust"
    parts, y = [text(8, 24, title, font_size="17", font_weight="bold")], TITLE
    for load, results in measured:
        parts += group(y, load, results)
        y += 20 + len(results) * (BAR + 4) + GAP
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="13" role="img">\n'
            f"<title>{title}</title>\n<style>{STYLE}</style>\n"
            f'<rect class="ground" width="{WIDTH}" height="{y}" rx="6"/>')
    return "\n".join([head, *parts, "</svg>"]) + "\n"
