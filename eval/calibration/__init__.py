"""Calibration: what every metric answers to corruptions of known kind and strength, on clips whose
truth is known.

A calibration is a run like any other (its cells are corruptions, its samples true clips), followed
by an analysis.
"""
