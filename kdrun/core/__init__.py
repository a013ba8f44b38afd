"""What all parts stand on: configuration, registries, types, errors, seeds, folders."""
