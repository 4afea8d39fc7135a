"""How benchmarks show what they found: a table for people, JSON for machines."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Give the processor time a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_seconds_of_tree(pid: int) -> float:
    """Give the processor time of a process and of its children, those that ended included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended just now; its parent has its time
    return sum(map(int, fields[11:15])) / TICKS + sum(cpu_seconds_of_tree(int(child)) for child in children)


def medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Give the median of each figure."""
    return {name: median(figures[name] for figures in rounds) for name in rounds[0]}


def machine() -> dict[str, Any]:
    """Say what it was measured on."""
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    """Give the processor's name; where the system does not tell it, its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(columns), *texts]) for i in range(len(columns))]
    print(f"\n{title}")
    for row in [list(columns), *texts]:
        print(
            "  ".join(
                text.ljust(w) if i == 0 else text.rjust(w)
                for i, (text, w) in enumerate(zip(row, widths, strict=True))
            )
        )


def show_json(page: dict[str, Any]) -> None:
    """Print the page for machines."""
    print(json.dumps(page, indent=1))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    return "" if value is None else str(value)
