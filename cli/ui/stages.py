"""Stages in words: the console has the same (`tasks.telling.stages`)."""

from tasks.telling.stages import left_words as left_words
from tasks.telling.stages import open_stages as open_stages
from tasks.telling.stages import stage_progress as stage_progress
from tasks.telling.stages import stage_words as stage_words
