"""A flow that takes stock of the Python distributions installed beside it and writes a report and a data file.

Nothing is imported or run to look at a distribution: all facts come from its installed metadata and its files.
"""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from headgate import flow, get_run_logger

try:
    from packaging.requirements import InvalidRequirement, Requirement
except ImportError:
    Requirement = None

UNKNOWN = "unknown"

SHORT_LICENCES = (
    (r"\bMPL|Mozilla Public", "MPL-2.0"),
    (r"\bAGPL|GNU Affero", "AGPL"),
    (r"\bLGPL|Lesser General Public", "LGPL"),
    (r"\bGPL|GNU General Public", "GPL"),
    (r"Apache", "Apache-2.0"),
    (r"\bBSD\b.*\b3\b|\b3\b.*\bBSD\b", "BSD-3-Clause"),
    (r"\bBSD\b.*\b2\b|\b2\b.*\bBSD\b", "BSD-2-Clause"),
    (r"\bBSD\b", "BSD"),
    (r"\bMIT\b|Permission is hereby granted, free of charge", "MIT"),
    (r"\bISC\b", "ISC"),
    (r"\bPSF\b|Python Software Foundation", "PSF-2.0"),
    (r"Unlicense", "Unlicense"),
    (r"Public Domain", "public domain"),
)
"""Patterns of the many spellings of a licence, the more specific first, and the short name of each."""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed distribution. `size` is in bytes; `requires` and `dependants` name installed distributions."""

    name: str
    version: str
    size: int
    licence: str
    summary: str
    editable: bool = False
    recorded: bool = True
    """False when the installer left no list of files; the size is then 0."""
    requires: tuple[str, ...] = ()
    dependants: tuple[str, ...] = ()


@flow
def inventory(path: str = "inventory", minimum_size: int = 0, fail: bool = False) -> dict[str, object]:
    """Write `inventory.md` and `inventory.parquet` (`.csv` without pyarrow) into the directory `path`.

    Distributions smaller than `minimum_size` bytes are counted but not listed. `fail` makes the run fail after the
    scan, to show what a failed run looks like.
    """
    if minimum_size < 0:
        raise ValueError(f"minimum_size is {minimum_size}; it is a number of bytes, 0 or more.")
    logger = get_run_logger()
    packages = scan(progress=logger.info)
    listed = [package for package in packages if package.size >= minimum_size]
    logger.info("%d of %d distributions have at least %s", len(listed), len(packages), readable(minimum_size))
    if fail:
        raise ValueError(f"Told to fail by fail=True, after a scan of {len(packages)} distributions; nothing was written.")
    report, data = write(Path(path), packages, listed)
    logger.info("wrote %s and %s", report, data)
    return {"report": str(report), "data": str(data), "distributions": len(packages), "listed": len(listed)}


def scan(*, progress: Callable[..., None]) -> list[Package]:
    """All installed distributions by name, each with its direct dependencies and dependants among them."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        if name := distribution.metadata.get("Name"):
            # The first on sys.path is the one that an import finds.
            found.setdefault(canonical(name), distribution)
    progress("found %d distributions", len(found))
    requires = {name: installed_requirements(distribution, found) for name, distribution in found.items()}
    dependants = reversed_edges(requires)
    packages = []
    for name in sorted(found):
        packages.append(read(found[name], requires=requires[name], dependants=dependants.get(name, ())))
        if len(packages) % 25 == 0:
            progress("measured %d of %d", len(packages), len(found))
    progress("measured all: %s", readable(total_size(packages)))
    return packages


def read(distribution: Distribution, *, requires: tuple[str, ...], dependants: tuple[str, ...]) -> Package:
    """The facts of one distribution."""
    metadata = distribution.metadata
    editable = is_editable(distribution)
    return Package(
        name=metadata["Name"],
        version=metadata.get("Version") or UNKNOWN,
        size=size_on_disk(distribution, editable=editable),
        licence=licence_of(
            metadata.get("License-Expression"), metadata.get("License"), metadata.get_all("Classifier") or []
        ),
        summary=" ".join((metadata.get("Summary") or "").split()),
        editable=editable,
        recorded=distribution.files is not None,
        requires=requires,
        dependants=dependants,
    )


def size_on_disk(distribution: Distribution, *, editable: bool) -> int:
    """Bytes of the recorded files that exist; of an editable install, those of the source tree it points to as well."""
    recorded = [Path(str(file.locate())) for file in distribution.files or ()]
    size = sum(file_size(file) for file in recorded)
    if editable:
        links = [file for file in recorded if file.suffix == ".pth"]
        roots = {root for link in links for root in linked_directories(link)} or {project_directory(distribution)}
        size += sum(file_size(file) for root in roots if root for file in visible_files(root))
    return size


def file_size(file: Path) -> int:
    """Bytes of a file; 0 when it is gone."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def is_editable(distribution: Distribution) -> bool:
    """Whether the distribution is a link to its source tree."""
    return bool(direct_url(distribution).get("dir_info", {}).get("editable"))


def project_directory(distribution: Distribution) -> Path | None:
    """The source tree of an editable install."""
    parts = urlsplit(direct_url(distribution).get("url", ""))
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def direct_url(distribution: Distribution) -> dict[str, Any]:
    """Where the distribution was installed from, when that was not an index; {} otherwise."""
    try:
        return json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}


def linked_directories(link: Path) -> Iterator[Path]:
    """The directories that a `.pth` file puts on the path."""
    try:
        lines = link.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if (
            line.strip()
            and not line.startswith(("#", "import ", "import\t"))
            and (root := link.parent / line.strip()).is_dir()
        ):
            yield root


def visible_files(root: Path) -> Iterator[Path]:
    """Files under `root`, without hidden directories and caches."""
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".") and name not in ("__pycache__", "node_modules")]
        yield from (Path(directory, file) for file in files)


def licence_of(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str:
    """A short licence name from, first match wins: the expression, a short licence field, classifiers, a licence's text."""
    if expression:
        return expression
    text = (text or "").strip()
    named = "" if "\n" in text or len(text) > 60 or text.upper() == "UNKNOWN" else text
    kinds = {short_licence(kind.rpartition("::")[2].strip()) for kind in classifiers if kind.startswith("License ::")}
    kinds.discard("OSI Approved")
    return short_licence(named) if named else " OR ".join(sorted(kinds)) or known_licence(text[:1000]) or UNKNOWN


def short_licence(name: str) -> str:
    """`Apache Software License` is `Apache-2.0`; a choice of several stays, and a name without a known short form."""
    return name if re.search(r"\b(OR|AND)\b|/", name) else known_licence(name) or name


def known_licence(text: str) -> str | None:
    """The short name of the licence that `text` speaks of."""
    return next((short for pattern, short in SHORT_LICENCES if re.search(pattern, text, re.IGNORECASE)), None)


def installed_requirements(distribution: Distribution, installed: Mapping[str, object]) -> tuple[str, ...]:
    """What the distribution asks for here, extras aside, as far as it is installed."""
    names = {required_name(line) for line in distribution.requires or ()}
    return tuple(sorted(name for name in names if name and name in installed))


def required_name(line: str) -> str | None:
    """The canonical name in a requirement that applies to this interpreter; None for the others and for the unreadable."""
    if Requirement is None:
        name = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
        return canonical(name[1]) if name and not re.search(r";.*\bextra\b", line) else None
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    return canonical(requirement.name) if applies else None


def canonical(name: str) -> str:
    """One spelling for all of a distribution's: `Typing.Extensions` is `typing-extensions`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def reversed_edges(edges: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Who points at whom, turned round."""
    back: dict[str, list[str]] = {}
    for source in sorted(edges):
        for target in edges[source]:
            back.setdefault(target, []).append(source)
    return {target: tuple(sources) for target, sources in back.items()}


def write(directory: Path, packages: Sequence[Package], listed: Sequence[Package]) -> tuple[Path, Path]:
    """The report and the data file, each replaced as a whole so that a reader never sees half of one."""
    directory.mkdir(parents=True, exist_ok=True)
    report = replace(directory / "inventory.md", lambda file: file.write_text(report_text(packages, listed), "utf-8"))
    if find_spec("pyarrow") is None:
        return report, replace(directory / "inventory.csv", lambda file: write_csv(file, listed))
    return report, replace(directory / "inventory.parquet", lambda file: write_parquet(file, listed))


def replace(target: Path, fill: Callable[[Path], object]) -> Path:
    """Have `fill` write a file beside `target`, then put it in `target`'s place."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        fill(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def write_csv(file: Path, packages: Iterable[Package]) -> None:
    """One row a distribution; lists are joined by spaces."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(column.name for column in fields(Package))
        for package in packages:
            values = (getattr(package, column.name) for column in fields(Package))
            rows.writerow(" ".join(value) if isinstance(value, tuple) else value for value in values)


def write_parquet(file: Path, packages: Sequence[Package]) -> None:
    """One row a distribution; lists stay lists, also when there is no row to tell their type from."""
    import pyarrow  # here because it takes longer to load than the scan takes
    from pyarrow import parquet

    types = {int: pyarrow.int64(), bool: pyarrow.bool_(), str: pyarrow.string()}
    texts = pyarrow.list_(pyarrow.string())
    schema = pyarrow.schema([(column.name, types.get(column.type, texts)) for column in fields(Package)])
    columns = {column.name: [getattr(package, column.name) for package in packages] for column in fields(Package)}
    parquet.write_table(pyarrow.table(columns, schema=schema), file)


def report_text(packages: Sequence[Package], listed: Sequence[Package]) -> str:
    """The report, in Markdown."""
    largest = sorted(listed, key=lambda package: package.size, reverse=True)[:10]
    licences = Counter(package.licence for package in packages).most_common()
    orphans = [package.name for package in packages if not package.dependants]
    unrecorded = [package.name for package in packages if not package.recorded]
    sections = [
        "# Installed Python distributions",
        f"{len(packages)} distributions, {readable(total_size(packages))} on disk; {len(listed)} are listed here.",
        "## Largest",
        table(("Name", "Version", "Size"), ((each.name, each.version, readable(each.size)) for each in largest)),
        "## Licences",
        table(("Licence", "Distributions"), ((licence, str(count)) for licence, count in licences)),
        "## Orphans",
        f"Nothing installed depends on these {len(orphans)}: {', '.join(orphans) or 'none'}.",
        "## All",
        table(("Name", "Version", "Size", "Licence", "Needs", "Needed by", "Summary"), (full_row(each) for each in listed)),
    ]
    if unrecorded:
        sections.append(f"Without a list of files, so counted as 0 bytes: {', '.join(unrecorded)}.")
    return "\n\n".join(sections) + "\n"


def full_row(package: Package) -> tuple[str, ...]:
    """A line of the table of all."""
    return (
        package.name + (" (editable)" if package.editable else ""),
        package.version,
        readable(package.size),
        package.licence,
        ", ".join(package.requires),
        ", ".join(package.dependants),
        package.summary,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def total_size(packages: Iterable[Package]) -> int:
    """Bytes of all together."""
    return sum(package.size for package in packages)


def readable(size: float) -> str:
    """`1500` is `1.5 kB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{round(size, 1):g} {unit}"
        size /= 1000
    return f"{round(size, 1):g} GB"


if __name__ == "__main__":
    print(inventory())
