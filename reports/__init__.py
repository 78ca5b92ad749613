"""Tables, figures and one self-contained HTML page made from a run folder.

The room reads what a run wrote (its CSV files, `run.json` and clips) and never touches the store;
importing it loads nothing heavy.
"""
