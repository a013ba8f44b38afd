"""The objectives of distillation, by name; each is a `Loss`, none has a loop of its own."""
