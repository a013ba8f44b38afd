"""What knows pixels: readers of images, frames, augmentation, statistics of channels."""
