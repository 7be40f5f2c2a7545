"""Numbers from arrays: discrimination, calibration, intervals.

Nothing here knows a table, a date or a use case.
"""
