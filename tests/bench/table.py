"""The one table that the bench prints."""


class Table:
    """What was measured, printed as it comes. Ratios: the lower, the better."""

    def __init__(self) -> None:
        self.ratios: dict[str, float] = {}

    def part(self, title: str) -> None:
        """Begin a part of the table."""
        print(f"\n{title}", flush=True)

    def row(self, what: str, figures: str, ratio: str = "", value: float = 0.0) -> None:
        """Print a row; a `ratio` of ours is kept by that name."""
        number = f"{value:8.2f}" if value >= 0.1 else f"{value:10.4f}"
        beside = f"{number} of {ratio.partition(': ')[2]}" if ratio else ""
        if ratio and not ratio.startswith("Celery"):
            self.ratios[ratio] = value
        print(f"  {what:34}{figures:48}{beside}", flush=True)
