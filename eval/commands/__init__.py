"""Commands of ``i2v-eval``, one a file; `eval.cli` registers them. Importing one loads
nothing heavy.
"""
