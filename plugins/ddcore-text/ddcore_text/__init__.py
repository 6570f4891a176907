"""Dataset distillation for text."""
