"""Commands of ``python -m eval``, one a file; `eval.cli` registers them. Importing one loads
nothing heavy.
"""
