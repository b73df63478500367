"""One module per kind of infrastructure; each is found by its `headgate.workers` entry point."""
