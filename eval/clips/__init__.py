"""Clips on disk and in memory: the lossless file, the readers of other formats, film strips."""
