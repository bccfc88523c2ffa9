"""What older kernels and tools do not say, taken out of recordings: less is told then, and nothing else."""
