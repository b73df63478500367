"""Use cases: one function, one transaction; and in `loops/` what runs by itself."""
