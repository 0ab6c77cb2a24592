"""The names of the small sample tasks, for those who send them."""

from typing import Final

IMPORT_ABSENCES: Final = "demo.import_absences"
SYNC_CALENDAR: Final = "demo.sync_calendar"
SEARCH_ROSTER: Final = "demo.search_roster"
NOTE_PRESENCE: Final = "demo.note_presence"
