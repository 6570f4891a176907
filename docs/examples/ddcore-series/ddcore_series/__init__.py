"""Time series for ddcore."""
