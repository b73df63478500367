"""The command line: `main` reads the global options and answers `--help` and `--version` without loading anything."""

import os
import sys
from collections.abc import Sequence

from headgate import __version__
from headgate.cli.commands import root_help


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code: 0 done, 1 failed or refused, 2 misused, 130 interrupted."""
    try:
        code = _main(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough (`| head`). Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:  # while the parser was still being loaded
        return 130
    return code


def _main(argv: Sequence[str]) -> int:
    args, profile, debug = _global_options(argv)
    if args in ([], ["-h"], ["--help"], ["help"]):
        print(root_help())
        return 0
    if args in (["-V"], ["--version"]):
        print(__version__)
        return 0
    # The parser alone takes 0.12 s to import; what comes before this line answers in 0.03 s.
    from headgate.cli.dispatch import run

    return run(args, profile=profile, debug=debug)


def _global_options(argv: Sequence[str]) -> tuple[list[str], str | None, bool]:
    """The arguments without the options that every command takes, wherever they stand before a `--`; and those options."""
    args, profile, debug = [], None, False
    tokens = iter(argv)
    for token in tokens:
        if token == "--":
            args += [token, *tokens]
        elif token == "--debug":
            debug = True
        elif token == "--profile":
            profile = next(tokens, "")
        elif token.startswith("--profile="):
            profile = token.partition("=")[2]
        else:
            args.append(token)
    return args, profile, debug
