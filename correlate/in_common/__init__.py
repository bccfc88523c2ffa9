"""What captures have in common, and why some have nothing."""
