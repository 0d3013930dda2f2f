"""Other programs send messages: the Celery tasks are here, and what they answer.

Begin reading at `invite.py`.
"""
