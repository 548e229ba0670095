"""Servers of other versions: each in a Debian release's own tree, beside this machine's files and not among them."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import config
from tests.servers import debian

TREES = config.ROOT / ".venv" / "matrix"

# Seconds for the largest of them, 120 packages, on a slow line.
BUILD = 1200

# What a program needs of this machine: its processes and devices, and the folders in which tests and embedded servers work.
# The tree becomes the root of a mount namespace, not only of a chroot: from there no user namespace can be made, and PostgreSQL
# and PgBouncer want to be nobody in particular. The namespace ends with the program and its children.
ENTER = """#!/bin/sh
exec unshare --mount --propagation private sh -c '
    mount --bind "$0" "$0"
    for each in /dev /proc /tmp /var/tmp; do mount --rbind "$each" "$0$each"; done
    cd "$0" && pivot_root . mnt && exec "$@"' {tree} {program} "$@"
"""

# The account nobody has this number in every Debian release.
AS_NOBODY = "/usr/bin/unshare --user --map-user=65534 --map-group=65534 "

RABBITMQ = {
    "rabbitmq-server": "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "rabbitmqctl": "/usr/lib/rabbitmq/bin/rabbitmqctl",
    "epmd": "/usr/bin/epmd",
    "erl_call": "/usr/bin/erl_call",
}

# By release: the packages, and the programs that tests start.
RELEASES = {
    "bookworm": (
        ("rabbitmq-server", "postgresql-15"),
        RABBITMQ | {name: f"{AS_NOBODY}/usr/lib/postgresql/15/bin/{name}" for name in ("initdb", "postgres")},
    ),
    "trixie": (("rabbitmq-server", "pgbouncer"), RABBITMQ | {"pgbouncer": f"{AS_NOBODY}/usr/sbin/pgbouncer"}),
}


def programs(release: str) -> Path:
    """Return the folder of a release's programs, building its tree at the first call. Raises MissingPackageError."""
    packages, wanted = RELEASES[release]
    tree, folder = TREES / release, TREES / f"{release}-programs"
    if not tree.exists():
        _build(release, packages, tree)
    folder.mkdir(exist_ok=True)
    for name, program in wanted.items():
        (folder / name).write_text(ENTER.format(tree=tree, program=program))
        (folder / name).chmod(0o755)
    return folder


def _build(release: str, packages: Sequence[str], tree: Path) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise debian.MissingPackageError("needs root on Debian")
    if shutil.which("mmdebstrap") is None:
        debian.install("mmdebstrap")
    half = tree.with_name(f"{release}.new")  # killed half-way, the next run begins anew
    shutil.rmtree(half, ignore_errors=True)
    TREES.mkdir(parents=True, exist_ok=True)
    argv = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(packages)}", release, str(half), _mirror()]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD, check=False)
    if done.returncode:
        raise debian.MissingPackageError(f"mmdebstrap {release}: {done.stderr.strip().splitlines()[-1:]}")
    half.rename(tree)


def _mirror() -> str:
    """Return where this machine's own apt gets Debian from."""
    argv = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [line.split()[2] for line in listed if line.startswith("Debian main ")]
    if not found:
        raise debian.MissingPackageError("apt has no list of Debian's packages: apt-get update")
    return found[0]
