"""Numbers, times and states in words: the console has the same (`tasks.telling.words`)."""

from tasks.telling.words import OUTCOME_WORDS as OUTCOME_WORDS
from tasks.telling.words import gate_words as gate_words
from tasks.telling.words import many as many
from tasks.telling.words import moment as moment
from tasks.telling.words import number as number
from tasks.telling.words import outcomes as outcomes
from tasks.telling.words import span as span
from tasks.telling.words import utc_now as utc_now
