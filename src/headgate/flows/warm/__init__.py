"""Warm starts: zygotes of a worker that have the engine imported, and a flow's code, and fork a process for each run."""
