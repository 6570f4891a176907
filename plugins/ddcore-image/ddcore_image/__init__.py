"""Dataset distillation for images."""
