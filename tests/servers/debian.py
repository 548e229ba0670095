"""Programs that tests need: found, or, as root on Debian, installed without their service being started."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Not the one on the PATH: as root that one changes to the user rabbitmq and reads /etc/rabbitmq.
DEBIAN_BINARIES = Path("/usr/lib/rabbitmq/bin")

# Debian's maintainer scripts ask this file before they start a service.
POLICY = Path("/usr/sbin/policy-rc.d")
# 101 is the answer "action not allowed" of the policy-rc.d interface.
REFUSE = "#!/bin/sh\nexit 101\n"

# Seconds: another apt may be at work (unattended upgrades), and the download is 40 MB.
APT_WAIT, APT_TIMEOUT = 120, 600

INSTALL = "apt-get install -y --no-install-recommends"
REMEDY = f"sudo {INSTALL} rabbitmq-server   (or set TEST_BROKER_URL), then: make test"


class MissingPackageError(Exception):
    """Debian's package is not installed here and cannot be."""


class MissingRabbitMQError(MissingPackageError):
    """RabbitMQ is not installed here and cannot be."""


def rabbitmq_binaries() -> Path:
    """Return the folder of rabbitmq-server and rabbitmqctl; installs them when root. Raises MissingRabbitMQError."""
    found = _find()
    if found is None and _may_install():
        try:
            install("rabbitmq-server")
        except MissingPackageError as error:
            raise MissingRabbitMQError(str(error)) from error
        found = _find()
    if found is None:
        raise MissingRabbitMQError("RabbitMQ is not installed")
    return found


def _find() -> Path | None:
    chosen = os.environ.get("TEST_RABBITMQ")
    if chosen:
        return Path(chosen)
    if (DEBIAN_BINARIES / "rabbitmq-server").exists():
        return DEBIAN_BINARIES
    on_path = shutil.which("rabbitmq-server")
    return Path(on_path).resolve().parent if on_path else None


def promtool() -> str:
    """Return the program that tests Prometheus's rules; installs it when root. Raises MissingPackageError."""
    return program("promtool", "prometheus")


def program(name: str, package: str) -> str:
    """Return where a program is; installs Debian's package of it when root. Raises MissingPackageError."""
    places = f"{os.environ['PATH']}:/usr/sbin"
    found = shutil.which(name, path=places)
    if found is None and _may_install():
        install(package)
        found = shutil.which(name, path=places)
    if found is None:
        raise MissingPackageError(f"{name} is not installed; to run this: sudo {INSTALL} {package}")
    return found


def libfaketime() -> Path:
    """Return the library that gives a process another clock; installs it when root. Raises MissingPackageError."""
    found = _libfaketime()
    if found is None and _may_install():
        install("libfaketime")
        found = _libfaketime()
    if found is None:
        raise MissingPackageError(f"libfaketime is not installed; to run this: sudo {INSTALL} libfaketime")
    return found


def _libfaketime() -> Path | None:
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(package: str) -> None:
    """Install Debian's package. Raises MissingPackageError with apt's last words."""
    wanted = f"{INSTALL} {package}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with services_stay_down():
        for command in ("apt-get update", wanted):
            argv = [*command.split(), "-q", "-o", f"DPkg::Lock::Timeout={APT_WAIT}"]
            done = subprocess.run(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=APT_TIMEOUT,
                check=False,
            )
            # An update that missed one of several sources may still be enough; the install decides.
            if done.returncode and command == wanted:
                raise MissingPackageError(f"{wanted}: {done.stderr.strip() or done.stdout.strip()}")


@contextmanager
def services_stay_down(policy: Path = POLICY) -> Iterator[None]:
    """Let no package start its service meanwhile.

    Left behind, the file would keep every later package of this machine from starting its service: it is removed whatever
    happens. One that is there already (container images have it) is kept.
    """
    try:
        descriptor = os.open(policy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755)
    except FileExistsError:
        yield
        return
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(REFUSE)
        yield
    finally:
        policy.unlink()
