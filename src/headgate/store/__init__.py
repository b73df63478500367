"""The only floor that knows SQL: one database seam, and one module of statements' callers per noun."""
