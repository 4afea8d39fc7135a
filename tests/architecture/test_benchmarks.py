"""Benchmarks belong to the repository: they run as the pages say, and name the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class TestAnalyzer:
    def test_f129_ticks_and_latency_are_measured_by_a_benchmark_that_names_the_machine(self):
        """No figure is held to anything here: how fast this machine is just now is nobody's mistake."""
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.analyzer", "--quick", "--json", "--peers", "/nowhere"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        page = json.loads(run.stdout)

        assert page["machine"]["processor"]
        assert page["machine"]["cpus"] == os.cpu_count()
        live, bare = page["ticks"]
        assert (live["candles"], bare["candles"]) == (490, 490)  # of 50,000 ticks of ten symbols
        assert live["per_second"] > 0
        assert [line["ticks_per_second"] for line in page["latency"]] == [1_000, 10_000]
        for line in page["latency"]:
            assert line["signals"] > 0
            assert 0 < line["p50_ms"] <= line["p95_ms"] <= line["p99_ms"]

    def test_f129_the_page_of_figures_tells_how_it_is_run_and_what_it_measured(self):
        page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        how, _, measured = page.partition("<!-- MEASURED -->")

        assert "-m benchmarks.analyzer" in how
        assert "| analyzer |" in how
        assert "**Analyzer**" in measured
