"""An Excel workbook is read as a stream, within bounds.

Begin reading at `sheet_records.py`.
"""
