"""Any list of people is read row by row, whatever file it is.

Begin reading at `guest_list.py`; `columns.py` decides what a heading means.
"""
