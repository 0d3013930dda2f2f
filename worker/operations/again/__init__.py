"""What is done to guests who are there by an invitation once more: `remind` and `reset`. Begin
reading at `base.py`.
"""
