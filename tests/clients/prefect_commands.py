"""Run by a client's own Python: imports its command line once, and forks a process for each command that it is told.

A line of JSON in, `{"arguments", "environment", "directory"}`, a line of JSON out, `{"code", "out", "err"}`. What a command
does is all that it does as a process of its own; what is spared is two seconds of imports, each time. With `script` instead
of `arguments`, a file of Python is run as the program.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback

from prefect import context
from prefect.cli import app


def main() -> None:
    """Serve until stdin ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            answers.write(order.get("answers", "").encode())
            answers.seek(0)
            pid = os.fork()
            if pid == 0:
                os._exit(_run(order, [answers.fileno(), out.fileno(), err.fileno()]))
            _, status = os.waitpid(pid, 0)
            answer = {"code": os.waitstatus_to_exitcode(status), "out": _read(out), "err": _read(err)}
        print(json.dumps(answer), flush=True)


def _read(file) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _run(order: dict, files: list[int]) -> int:
    for target, source in enumerate(files):
        os.dup2(source, target)
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    script = order.get("script")
    sys.argv = [script] if script else ["prefect", *order["arguments"]]
    context.GLOBAL_SETTINGS_CONTEXT = context.root_settings_context()  # profiles may have changed since the import
    code = 0
    try:
        if script:
            sys.path[0] = order["directory"]
            runpy.run_path(script, run_name="__main__")
        else:
            app()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


main()
