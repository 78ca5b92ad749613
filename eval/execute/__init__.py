"""Runs a plan in one process, in worker processes or on Ray. A clip that fails does not stop the
others, and a run that was stopped can be resumed."""
