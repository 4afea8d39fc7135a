"""
The public proof: a whole desk of its own, seeded signals, faults and kills, and then both books compared.

Plan (pure, seeded) → desk (its processes) → signals and trouble (what happens to it) → compare → report.
"""
