"""Files of recorded events: capture and replay."""
