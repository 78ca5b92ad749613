"""A run folder as typed frames, and what every part of a report asks of it."""
