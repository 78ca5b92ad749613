"""Encoders and metrics brought together: clips in, records out."""
