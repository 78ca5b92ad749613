"""From records to tables: intervals, paired differences, set metrics, gate, export, ballots,
trackers.
"""
