"""The page of two or more runs."""
