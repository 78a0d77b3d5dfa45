"""The table. A row has the figures of each round, and compares them with a floor and an aim."""

import dataclasses
import statistics


@dataclasses.dataclass
class Row:
    """Without a reference (against), the figure itself is judged. less: smaller is better."""

    measure: str
    reference: str
    unit: str
    ours: list
    against: list = None
    floor: float = None
    aim: float = None
    less: bool = False

    def values(self):
        """The values to judge, one per round: the ratio, or our figure."""
        return [a / b for a, b in zip(self.ours, self.against, strict=True)] if self.against else self.ours

    def reaches(self, mark):
        value = statistics.median(self.values())
        return value <= mark if self.less else value >= mark

    @property
    def missed(self):
        return self.floor is not None and not self.reaches(self.floor)

    @property
    def verdict(self):
        if self.floor is None:
            return "-"
        if self.missed:
            return "MISSED"
        return "aim" if self.aim is not None and self.reaches(self.aim) else "floor"

    def mark(self, value):
        if value is None:
            return "-"
        return f"{'<= ' if self.less else ''}{value:g} {'x' if self.against else self.unit}"

    def cells(self):
        values, median = self.values(), statistics.median
        spread = f"{short(min(values))} .. {short(max(values))}"
        return [self.measure, f"{short(median(self.ours))} {self.unit}",
                f"{short(median(self.against))} {self.unit}, {self.reference}" if self.against else self.reference,
                f"{short(median(values))} x" if self.against else "-", spread,
                self.mark(self.floor), self.mark(self.aim), self.verdict]


HEAD = ["measure", "ours", "against", "ratio", "spread", "floor", "aim", "reached"]


def short(value):
    """Formats a number with about three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def render(rows):
    """The rows as a table of Markdown."""
    cells = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
