"""What runs by itself: each job is a `tick`, and `Loop` owns everything else."""
