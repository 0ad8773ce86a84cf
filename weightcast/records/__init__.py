"""Long records of many places in tables: one row a place and a time, a column a place, or NetCDF with stations.

A table becomes rows (`rows.py`), rows become records on one calendar (`record.py`), and of records windows are cut, in
time: first those that train, then those that make choices, then those that are tested on (`windows.py`).
"""
