"""A container without an engine, as the Containerfile and the manifests describe it; see container.sh."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.ops.box import obstacle as obstacle_of_box
from tests.support.containers import ROOT, environment_of, instructions, of_kind, pod_of
from tests.support.daemons import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("container.sh")
FINAL = 1


def obstacle() -> str | None:
    """Why no container can be made here; None when one can be tried."""
    if shutil.which("setpriv") is None:
        return "missing programs: setpriv"
    reason = obstacle_of_box()
    return None if reason is not None and "systemd" in reason and "root" not in reason else reason


@contextlib.contextmanager
def container(workload: dict[str, Any], url: str, **settings: str) -> Iterator[DaemonProcess]:
    """The workload's container, with another database and with these settings in the place of its own."""
    from hatchling.builders.wheel import WheelBuilder  # noqa: PLC0415  only this builds

    pod = pod_of(workload)
    variables = {**environment_of(pod), **settings}
    places = [
        mount["mountPath"]
        for mount in pod["containers"][0]["volumeMounts"]
        if any(volume["name"] == mount["name"] and "emptyDir" in volume for volume in pod["volumes"])
    ]
    directory = Path(tempfile.mkdtemp(prefix="jobd-container-"))
    try:
        for name in ("root", "exchange/secrets"):
            (directory / name).mkdir(parents=True)
        exchange = directory / "exchange"
        next(WheelBuilder(str(ROOT)).build(directory=str(exchange), versions=["standard"]))
        (exchange / "secrets" / "database-url").write_text(url + "\n")
        (exchange / "secrets" / "submitter-secret").write_text("a secret\n")
        (exchange / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        entry = next(one for one in instructions() if one.word == "ENTRYPOINT").exec_form
        command = [
            "unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child",
            "bash", str(SCRIPT), str(directory), sys.base_prefix, sysconfig.get_paths()["purelib"],
            of_kind("USER", FINAL)[0], ":".join(places), *entry, *pod["containers"][0]["args"],
        ]  # fmt: skip
        log_path = directory / "log"
        with log_path.open("wb") as log:
            outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield DaemonProcess(outer, log_path)
        finally:
            outer.kill()  # and the kernel everything in its namespaces
            outer.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def process_1(container: DaemonProcess) -> int:
    """The container's first process, by its id out here."""
    (child,) = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    return int(child)
