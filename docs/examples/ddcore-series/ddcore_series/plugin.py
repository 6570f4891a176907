"""What this plugin provides. Imports nothing heavy: `ddcore plugins` reads this file and no other."""

from collections.abc import Iterator

from ddcore.plugins import Entry, hookimpl

ddcore_api = 1


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """One problem; a larger plugin yields its methods, models and parametrizations here too."""
    yield Entry(
        "problem",
        "series/waves",
        "ddcore_series.problems:waves",
        "Sine waves of one, two or three periods, under noise.",
        offline=True,
        default=True,
    )
