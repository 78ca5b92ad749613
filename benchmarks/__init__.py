"""Benchmarks: what the adapter costs, what measuring costs, and how close both are to the limit.

`python -m pytest benchmarks` runs them and writes `benchmarks/results/<device>.json`; `python -m
benchmarks` makes `docs/benchmarks.md` from all such files. Weights are random where nothing is
shipped: time does not depend on them.
"""
