"""Methods of the audio literature: short recipes over the core's objectives."""
