"""From the samples of a run to its tables: medians, ranges, ratios, and which targets hold."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from cases import CASES_BY_NAME, Case
from peers import PEERS

ROUNDS_TO_JUDGE = 15

Row = list[str]


@dataclass
class Samples:
    """What one driver did in one case, one number a round."""

    queries: int  # in one batch
    rows: int  # in one answer
    cpu_s: list[float] = field(default_factory=list)  # client CPU of one query, user and system
    wall_s: list[float] = field(default_factory=list)  # duration of one query

    def add(self, cpu_s: float, wall_s: float) -> None:
        self.cpu_s.append(cpu_s / self.queries)
        self.wall_s.append(wall_s / self.queries)


@dataclass
class Run:
    """Everything a table needs. ``samples`` is case name -> driver name -> samples."""

    facts: dict[str, str]
    rounds: int
    samples: dict[str, dict[str, Samples]]

    def as_json(self) -> dict[str, Any]:
        cases = {
            case: {
                driver: {"queries": one.queries, "rows": one.rows, "cpu_s": one.cpu_s, "wall_s": one.wall_s}
                for driver, one in drivers.items()
            }
            for case, drivers in self.samples.items()
        }
        verdicts = [vars(verdict) for verdict in judge(self)]
        return {"facts": self.facts, "rounds": self.rounds, "cases": cases, "verdicts": verdicts}


@dataclass
class Verdict:
    """One target: the ratio of median client CPU, ours over the peer's."""

    case: str
    ours: str
    peer: str
    ratio: float
    low: float  # 10th and 90th percentile of the ratios of single rounds
    high: float
    target: float
    holds: bool | None  # None: too few rounds, or a peer was left out


def judge(run: Run) -> list[Verdict]:
    """Hold howdah against the best peer, and howdah-async against asyncpg, wherever both were run."""
    verdicts = []
    for name, drivers in run.samples.items():
        case = CASES_BY_NAME[name]
        best = best_peer(drivers)
        if case.target is not None and best and "howdah" in drivers:
            complete = all(peer in drivers for peer in PEERS)
            verdicts.append(_verdict(run, case, "howdah", best, case.target, complete))
        if case.async_target is not None and "asyncpg" in drivers and "howdah-async" in drivers:
            verdicts.append(_verdict(run, case, "howdah-async", "asyncpg", case.async_target, True))
    return verdicts


def best_peer(drivers: dict[str, Samples]) -> str | None:
    """The peer with the lowest median client CPU."""
    present = [peer for peer in PEERS if peer in drivers]
    return min(present, key=lambda peer: statistics.median(drivers[peer].cpu_s), default=None)


def render(run: Run, markdown: bool) -> str:
    """All tables, as aligned text or as Markdown."""
    parts = [_facts(run, markdown)]
    for name, drivers in run.samples.items():
        parts.append(_heading(f"{name}: {CASES_BY_NAME[name].title}", markdown))
        parts.append(_table(_case_rows(drivers), markdown))
    verdicts = judge(run)
    if verdicts:
        parts.append(_heading("Targets: ratio of median client CPU, range of the single rounds", markdown))
        parts.append(_table(_verdict_rows(verdicts), markdown))
    return "\n".join(parts)


def _verdict(run: Run, case: Case, ours: str, peer: str, target: float, complete: bool) -> Verdict:
    mine, theirs = run.samples[case.name][ours].cpu_s, run.samples[case.name][peer].cpu_s
    ratio = statistics.median(mine) / statistics.median(theirs)
    low, high = _range([a / b for a, b in zip(mine, theirs)])
    holds = ratio <= target if complete and run.rounds >= ROUNDS_TO_JUDGE else None
    return Verdict(case.name, ours, peer, ratio, low, high, target, holds)


def _range(values: list[float]) -> tuple[float, float]:
    """The 10th and 90th percentile."""
    if len(values) < 2:
        return values[0], values[0]
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return deciles[0], deciles[-1]


def _case_rows(drivers: dict[str, Samples]) -> list[Row]:
    best, floor = best_peer(drivers), drivers.get("floor")
    table = [
        [
            "driver",
            "client CPU us/query",
            "p10..p90",
            "/ best peer",
            "/ floor",
            "queries/s",
            "rows/s",
            "p10..p90",
        ]
    ]
    for name, one in drivers.items():
        cpu = statistics.median(one.cpu_s)
        low, high = _range(one.cpu_s)
        rates = [one.rows / wall for wall in one.wall_s]
        slow, fast = _range(rates)
        table.append(
            [
                name,
                f"{cpu * 1e6:,.1f}",
                f"{low * 1e6:,.1f}..{high * 1e6:,.1f}",
                f"{cpu / statistics.median(drivers[best].cpu_s):.2f}" if best and name != "floor" else "",
                f"{cpu / statistics.median(floor.cpu_s):.1f}" if floor else "",
                f"{1 / statistics.median(one.wall_s):,.0f}",
                f"{statistics.median(rates):,.0f}",
                f"{slow:,.0f}..{fast:,.0f}",
            ]
        )
    return table


def _verdict_rows(verdicts: list[Verdict]) -> list[Row]:
    words = {True: "holds", False: "MISSED", None: f"not judged (needs {ROUNDS_TO_JUDGE} rounds, every peer)"}
    table = [["case", "ours", "peer", "ratio", "p10..p90", "target", "verdict"]]
    for one in verdicts:
        spread = f"{one.low:.2f}..{one.high:.2f}"
        verdict = words[one.holds]
        table.append([one.case, one.ours, one.peer, f"{one.ratio:.2f}", spread, f"<= {one.target:.1f}", verdict])
    return table


def _facts(run: Run, markdown: bool) -> str:
    facts = {**run.facts, "rounds": str(run.rounds)}
    if markdown:
        return "\n".join(f"- **{name}**: {value}" for name, value in facts.items())
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())


def _heading(text: str, markdown: bool) -> str:
    return f"\n### {text}\n" if markdown else f"\n{text}"


def _table(rows: list[Row], markdown: bool) -> str:
    """The first row is the head, the first column is text, the rest is aligned to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    if markdown:
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([head, "|---" + "|---:" * (len(widths) - 1) + "|", *body])
    lines = []
    for row in rows:
        first, *rest = [
            cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)
