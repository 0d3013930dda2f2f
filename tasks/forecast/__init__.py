"""A dry run says what would become of each row, and sends nothing.

Begin reading at `rows.py`.
"""
