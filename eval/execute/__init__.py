"""Carries a plan out: one process or Ray, clip by clip isolated, resumable."""
