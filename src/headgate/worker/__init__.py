"""Workers: join a pool, claim its runs, start and watch their infrastructure, report how they ended."""
