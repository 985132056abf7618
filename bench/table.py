"""The figures of a run as a table, with what each row must reach and whether it does."""

import statistics

from cells import ROWS


def values(results, row, server):
    """A row's figures of one server, round by round; None when a round was void or not made."""
    rounds = results.get((row.cell, server))
    if not rounds or any("void" in got for got in rounds):
        return None
    return [got[row.figure] for got in rounds]


def show(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def with_range(numbers):
    return f"{show(statistics.median(numbers))} ({show(min(numbers))}..{show(max(numbers))})"


def grade(value, row):
    return "aim met" if value >= row.aim else "met" if value >= row.must else "NOT MET"


def verdict(row, ours, results):
    """What the row's bounds come to: the text of its ratios, and whether they are met."""
    at = statistics.median(ours)
    if row.least:
        return "", grade(at, row)
    if row.limit:
        return "", "aim met" if at <= row.aim else "met" if at <= row.must else "NOT MET"
    text, met = [], "?"
    for name, must in row.against.items():
        theirs = values(results, row, name)
        if not theirs:
            return ", ".join(text), "?"
        ratio = at / statistics.median(theirs)
        each = [a / b for a, b in zip(ours, theirs)]
        text.append(f"{ratio:.2f} ({min(each):.2f}..{max(each):.2f}) x {name}")
        if name == "postfix":
            met = grade(ratio, row)
        elif ratio < must:
            met = "NOT MET"
    if row.not_below:
        other = results.get((row.not_below, "letterlock"))
        if not other:
            return ", ".join(text), "?"
        ratio = at / statistics.median(got["rate"] for got in other)
        text.append(f"{ratio:.2f} x {row.not_below}")
        met = "NOT MET" if ratio < 1 else met
    return ", ".join(text), met


def print_table(results, servers):
    names = [s.name for s in servers]
    print("| | " + " | ".join(names) + " | ratio | must | aim | |")
    print("|---" * (len(names) + 5) + "|")
    for row in ROWS:
        if not any(cell == row.cell for cell, _ in results):
            continue
        columns = []
        for name in names:
            numbers = values(results, row, name)
            void = (row.cell, name) in results and not numbers
            columns.append("void" if void else with_range(numbers) if numbers else "")
        ours = values(results, row, "letterlock")
        ratio, met = verdict(row, ours, results) if ours else ("", "?")
        print(f"| {row.title} | " + " | ".join(columns)
              + f" | {ratio} | {row.must_text()} | {row.aim:g} | {met} |")
