"""Files that appear whole or not at all, and progress on a terminal."""
