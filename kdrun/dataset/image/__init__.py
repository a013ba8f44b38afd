"""Image datasets: reading, resizing, augmentation and normalization."""
