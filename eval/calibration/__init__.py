"""Calibration: how every metric responds to corruptions of known kind and strength, on clips with
ground truth.

A calibration is a run like any other (its cells are corruptions, its samples true clips), followed
by an analysis.
"""
