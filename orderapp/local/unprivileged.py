"""How PostgreSQL's programs run when we are root, which they refuse to be.

First choice is a user namespace of their own: inside they are an ordinary user, outside their files are root's, so no
account is made and no mode changed. Where that is refused (a container without the right) they run as an existing
unprivileged account, and since that one cannot enter root's folders, in a folder below ``/var/tmp``.
"""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """Who the programs run as: the words before a command, and the account that must own the data (None: ourselves)."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def may_run(self, program: Path) -> bool:
        """Tell whether the program starts under this identity and finds its libraries."""
        try:
            return subprocess.run([*self.prefix, program, "--version"], capture_output=True, check=False).returncode == 0  # noqa: S603 - ours
        except OSError:
            return False

    def make_folder(self, folder: Path) -> Path:
        """Create a folder that only this identity can read, and return it."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)
        return folder


def identity(program: Path) -> Identity:
    """Return the identity under which this program can run."""
    if os.geteuid() != 0:
        return Identity()
    account = _account()
    namespace = Identity(("unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}"))
    if namespace.may_run(program):
        return namespace
    return Identity(_to_account(account), account.pw_uid, account.pw_gid)


def reachable_copy(who: Identity, wheel: Path, program: str, folder: Path) -> Path:
    """Return the wheel's folder if this identity can run its program there, else a copy of it inside the folder.

    The wheel keeps shared libraries in a second folder beside it; programs find them only there.
    """
    if who.may_run(wheel / program):
        return wheel
    copy = folder / "programs"
    if not copy.exists():
        half = folder / f"programs.{os.getpid()}"
        for part in (wheel, *wheel.parent.glob(f"{wheel.name}.libs")):
            shutil.copytree(part, half / part.name, ignore=shutil.ignore_patterns("include", "*.a", "__pycache__"))
        for path in (half, *half.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        half.rename(copy)
    return copy / wheel.name


def own_folder(parent: Path, name: str, mode: int) -> Path:
    """Return a folder below /tmp or /var/tmp that is ours. Raises PermissionError when somebody else made it first."""
    folder = parent / name
    folder.mkdir(mode=mode, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else; remove it")
    folder.chmod(mode)  # the umask may have taken some of it
    return folder


def _to_account(account: pwd.struct_passwd) -> tuple[str, ...]:
    # setpriv starts its program with root's rights still in hand and finds it anywhere; env starts it without them.
    return ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "env")


def _account() -> pwd.struct_passwd:
    # It must be in /etc/passwd: initdb looks its name up, and gives up without one.
    accounts = [account for account in pwd.getpwall() if account.pw_uid != 0]
    return next((account for account in accounts if account.pw_name == "nobody"), accounts[0])
