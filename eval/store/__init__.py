"""The run folder: SQLite for what is known, files for clips and features."""
