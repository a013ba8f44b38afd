"""The losses of distillation, by name; each is a `Loss`, and none has a training loop."""
