"""Rankings by people."""
