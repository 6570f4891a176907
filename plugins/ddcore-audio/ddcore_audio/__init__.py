"""Dataset distillation for audio."""
