"""`usher schedules` shows and changes the timetable. Begin reading at `commands.py`."""
