"""What a plugin decorates its hook with."""

import pluggy

__all__ = ["GROUP", "hookimpl", "hookspec"]

GROUP = "ddcore"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
