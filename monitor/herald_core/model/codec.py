"""The one JSON encoder."""

from __future__ import annotations

import msgspec

to_json = msgspec.json.Encoder().encode
"""Return anything that is shown as JSON."""
