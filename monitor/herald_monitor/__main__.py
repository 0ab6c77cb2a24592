"""`python -m herald_monitor`: a monitor alone, set up by `HERALD_*` variables."""

from __future__ import annotations

import asyncio
import sys

from pydantic import ValidationError

from herald_core.errors import HeraldError
from herald_core.settings import MonitorSettings
from herald_core.system import logs
from herald_monitor.runtime.daemon import run_monitor


def main() -> int:
    """Run a monitor; 0 after a clean stop, 1 with a sentence if it cannot start."""
    try:
        logs.configure()
        asyncio.run(run_monitor(MonitorSettings()))
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "HERALD_" + "_".join(str(part) for part in wrong["loc"]).upper()
        sys.stderr.write(f"herald: {name}: {wrong['msg']}\n")
        return 2
    except HeraldError as error:
        sys.stderr.write(f"herald: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
