"""Encryption of secrets at rest: which key, and texts under it."""

import base64
import binascii
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.errors import NotConfigured
from headgate.services.scope import Scope
from headgate.settings import env_name

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY_FILE = "encryption.key"
"""In the home directory, where the embedded database is; made with the first secret."""

_SETTING = env_name("server_encryption_key")
_GENERATE = "`headgate secret generate-key` prints a new one"


class Keyring:
    """The server's key: of the setting, else of a file beside the embedded database. `NotConfigured` says what is amiss."""

    def __init__(self, setting: str | None, file: Path, *, shared: bool) -> None:
        self._setting = setting
        self._file = file
        self._shared = shared

    def seal(self, text: str) -> str:
        """`text`, encrypted; the key's file is made if there is none."""
        return _fernet(self._keys(make=True), self._place).encrypt(text.encode()).decode()

    @property
    def is_given(self) -> bool:
        """Whether there is a key, or one can be made."""
        return bool(self._setting) or not self._shared

    def unseal(self, ciphertext: str, name: str) -> str:
        """What the secret `name` holds."""
        return self._unseal(
            ciphertext, f"secret {name!r}", f"write the secret anew: `headgate secret set {name} --overwrite`"
        )

    def unseal_block(self, ciphertext: str, name: str) -> str:
        """What the block document `name` holds."""
        return self._unseal(ciphertext, f"block document {name!r}", "delete the block and save it anew")

    def _unseal(self, ciphertext: str, what: str, remedy: str) -> str:
        # 60 ms, measured: a server that is asked for no secret does without.
        from cryptography.fernet import InvalidToken

        fernet = _fernet(self._keys(make=False), self._place)
        try:
            return fernet.decrypt(ciphertext).decode()
        except (InvalidToken, UnicodeDecodeError):
            raise NotConfigured(
                f"{what} was encrypted with another key than that of {self._place}. Give the server the earlier "
                f"key again, or {remedy}."
            ) from None

    @property
    def _place(self) -> str:
        return _SETTING if self._setting else str(self._file)

    def _keys(self, *, make: bool) -> str:
        if self._setting:
            return self._setting
        if self._shared:
            raise NotConfigured(
                f"This server keeps secrets in PostgreSQL, which other servers may share, so it needs a key: set {_SETTING} "
                f"to the same for all of them; {_GENERATE}."
            )
        if make and not self._file.exists():
            _make(self._file)
        try:
            return self._file.read_text("ascii").strip()
        except FileNotFoundError:
            raise NotConfigured(
                f"The key of this server's secrets, {self._file}, is gone. Put it back, or write the secrets anew."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise NotConfigured(f"The key of this server's secrets, {self._file}, cannot be read: {error}.") from None


def keyring(scope: Scope) -> Keyring:
    """The keys of a server with these settings on this database."""
    settings = scope.settings
    file = settings.home_path / KEY_FILE
    return Keyring(settings.server_encryption_key, file, shared=scope.store.dialect == "postgresql")


@lru_cache(maxsize=8)
def _fernet(keys: str, place: str) -> "MultiFernet":
    """What encrypts with the first key, and decrypts with any."""
    from cryptography.fernet import Fernet, MultiFernet  # see `unseal`

    try:
        raw = [base64.b64decode(key.strip().translate(_STANDARD), validate=True) for key in keys.split(",")]
    except (ValueError, binascii.Error):
        raw = []
    if not raw or any(len(key) != 32 for key in raw):
        raise NotConfigured(f"{place} does not hold a key: 32 bytes in base64, or several with commas between; {_GENERATE}.")
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in raw])


_STANDARD = str.maketrans("-_", "+/")


def _make(file: Path) -> None:
    """A key file that nobody else can read, whole from the moment that it is there; another's that came first stays."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(base64.urlsafe_b64encode(os.urandom(32)) + b"\n")
        with suppress(FileExistsError):
            os.link(draft, file)
    except OSError as error:
        raise NotConfigured(f"The key of this server's secrets, {file}, cannot be made: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            draft.unlink()
