"""From arguments to a command's function and from its outcome to an exit code."""

import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from headgate.cli.commands import ALIASES, COMMANDS
from headgate.cli.help import PlainHelp
from headgate.cli.hints import hint
from headgate.cli.output import Problems, UsageError, error_line
from headgate.cli.session import Session
from headgate.errors import HeadgateError

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def run(args: Sequence[str], *, profile: str | None = None, debug: bool = False) -> int:
    """Run the command that `args` name and answer its exit code."""
    try:
        return _run(list(args), Session(profile=profile))
    except CycloptsError as error:
        return _report(debug, MISUSED, f"{_one_line(error)} `{_help_for(args)}` explains.")
    except UsageError as error:
        return _report(debug, MISUSED, str(error))
    except Problems as error:
        return _report(debug, FAILED, *error.lines)
    except HeadgateError as error:
        return _report(debug, FAILED, str(error))
    except BrokenPipeError:  # `main` ends quietly
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _report(debug, FAILED, f"Unexpected {type(error).__name__}: {error}. Run again with --debug to see where.")


def build() -> App:
    """The parser of all commands."""
    app = App(
        name="headgate",
        help_flags=["--help", "-h"],
        version_flags=[],
        help_format="plaintext",
        help_formatter=PlainHelp(),
        default_parameter=Parameter(negative=()),
        result_action="return_value",
    )
    for name, command in COMMANDS.items():
        # A noun's help is its line in the table; a single command's is its own docstring.
        app.command(command.target, name=name, help=command.help if command.target.endswith(":app") else None)
    return app


def _run(args: list[str], session: Session) -> int:
    if session.profile == "":
        raise UsageError("--profile needs the name of a profile; `headgate profile ls` lists all.")
    args = [ALIASES.get(args[0], args[0]), *args[1:]]
    if args[0] not in COMMANDS:
        raise UsageError(f"There is no command {args[0]!r}{hint(args[0], COMMANDS)} `headgate --help` lists all.")
    command, bound, injected = build().parse_args(args, exit_on_error=False, print_error=False)
    code = command(*bound.args, **bound.kwargs, **dict.fromkeys(injected, session))
    return code if isinstance(code, int) else OK


def _one_line(error: CycloptsError) -> str:
    return " ".join(str(error).split())


def _help_for(args: Sequence[str]) -> str:
    words = [word for word in args[:2] if not word.startswith("-")]
    known = words[:1] if words and words[0] in COMMANDS else []
    return " ".join(["headgate", *known, "--help"])


def _report(debug: bool, code: int, *messages: str) -> int:
    if debug:
        traceback.print_exc()
    for message in messages:
        error_line(message)
    return code
