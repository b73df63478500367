"""The summary of sampled stacks."""

from bench.profiling import ELSEWHERE, areas, summary

STACKS = [
    "main (cli.py:3);run (server.py:10);write (sqlite.py:20) 30",
    "main (cli.py:3);run (server.py:11) 10",
    "main (cli.py:3);run (server.py:10);write (sqlite.py:21) 10",
    "_bootstrap (threading.py:1);_worker (concurrent/futures/thread.py:81) 500",
]


def test_functions_are_listed_by_their_share_of_what_was_not_waiting() -> None:
    own, whole = summary(STACKS).split("\n\n")
    assert own.splitlines() == [
        "50 samples; functions by themselves:",
        " 80.0%  write (sqlite.py)",
        " 20.0%  run (server.py)",
    ]
    assert "100.0%  main (cli.py)" in whole
    assert "_worker" not in own + whole


def test_areas_are_told_by_the_files_of_innermost_functions() -> None:
    stacks = [
        "main (headgate/cli.py:3);run (asyncio/runners.py:118) 60",
        "main (headgate/cli.py:3);run (asyncio/runners.py:118);fetch (headgate/store/flow_runs.py:5) 20",
        "main (headgate/cli.py:3);run (asyncio/runners.py:118);decode (json/decoder.py:7) 20",
        *STACKS[-1:],
    ]
    shares = {"the event loop, sockets and what runs there in C": 0.6, "our statements and records": 0.2, ELSEWHERE: 0.2}
    assert areas(stacks) == shares
    assert areas([]) == {}
