"""The example for Kubernetes, held against Kubernetes' own schemas, against the Containerfile and against jobd."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest

from jobd.metrics import Metrics
from jobd.services.drain import AFTER_GRACE_SECONDS_MAX, FAREWELL_SECONDS_MAX
from jobd.services.health import HealthServer, Readiness
from jobd.services.listening import Listening
from jobd.services.loop import Pulse
from jobd.settings import Settings
from jobd.systemd import ServiceManager
from tests.support.containers import environment_of, manifest, manifests, of_kind, pod_of

if TYPE_CHECKING:
    from pathlib import Path

OLDEST, NEWEST = "1.29", "1.37"
# Of the Prometheus operator, which ships its schema with itself.
FOREIGN = {"PodMonitor"}
FINAL = 1


def workloads() -> list[dict[str, Any]]:
    return [manifest("Deployment"), manifest("Job")]


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("with_examples", [False, True])
def test_kubernetes_knows_every_field(release: str, with_examples: bool) -> None:
    checked = [one for one in manifests(with_examples=with_examples) if one["kind"] not in FOREIGN]
    assert len(checked) >= 6
    for one in checked:
        kubernetes_validate.validate(one, release, strict=True)
        assert (
            one["kind"] == "Namespace" or one["metadata"]["namespace"] == manifest("Namespace")["metadata"]["name"]
        )


def test_the_schemas_would_refuse_a_field_that_is_misspelt() -> None:
    wrong = manifest("Deployment")
    pod_of(wrong)["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_the_commented_examples_are_looked_at_too() -> None:
    (deployment,) = [one for one in manifests(with_examples=True) if one["kind"] == "Deployment"]
    pod = pod_of(deployment)
    assert {"JOBD_IMPORT_ROOTS", "JOBD_REMOTE_ALLOW"} <= environment_of(pod).keys()
    assert "in" in {volume["name"] for volume in pod["volumes"]}
    _require_mounts(pod)


@pytest.mark.parametrize("with_examples", [False, True])
def test_every_variable_is_a_setting_and_every_value_is_valid(
    tmp_path: Path, with_examples: bool
) -> None:  # fmt: skip
    for one in manifests(with_examples=with_examples):
        if one["kind"] not in {"Deployment", "Job"}:
            continue
        variables = environment_of(pod_of(one))
        for name in [name for name in variables if name.endswith("_FILE")]:
            secret = tmp_path / name
            secret.write_text("postgresql://jobd_daemon:a@127.0.0.1/app")
            variables[name] = str(secret)
        settings = Settings.load(environment=variables)
        assert settings.secret("database_url") == "postgresql://jobd_daemon:a@127.0.0.1/app"
        assert not settings.database_url.get_secret_value().startswith("postgresql://jobd_daemon"), (
            "only as a file"
        )


def test_probes_ask_for_what_the_daemon_serves_where_it_serves_it() -> None:
    pod = pod_of(manifest("Deployment"))
    container = pod["containers"][0]
    port = int(environment_of(pod)["JOBD_METRICS_LISTEN"].rpartition(":")[2])
    assert environment_of(pod)["JOBD_METRICS_LISTEN"].startswith("0.0.0.0:"), "else no kubelet reaches it"
    assert [(one["name"], one["containerPort"]) for one in container["ports"]] == [("metrics", port)]
    assert of_kind("EXPOSE", FINAL) == [str(port)]
    reason = "the database is away"
    listening = Listening(ServiceManager(None))
    server = HealthServer(Metrics("1", ("default",)), Pulse(), lambda: Readiness((reason,)), listening)
    asked = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert asked.keys() == {"startupProbe", "livenessProbe", "readinessProbe"}
    answers = {name: server._page("GET", get["path"], "")[0] for name, get in asked.items()}
    assert answers == {"startupProbe": 200, "livenessProbe": 200, "readinessProbe": 503}, reason
    assert {get["port"] for get in asked.values()} == {"metrics"}
    (endpoint,) = manifest("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"
    assert server._page("GET", endpoint["path"], "")[0] == 200


def test_a_pod_gets_the_time_that_a_stop_takes() -> None:
    pod = pod_of(manifest("Deployment"))
    grace = float(environment_of(pod)["JOBD_SHUTDOWN_GRACE_SECONDS"])
    needed = grace + AFTER_GRACE_SECONDS_MAX + FAREWELL_SECONDS_MAX
    assert needed < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("workload", workloads(), ids=lambda one: str(one["kind"]))
def test_pods_meet_the_restricted_standard_as_the_user_of_the_image(workload: dict[str, Any]) -> None:
    pod = pod_of(workload)
    user, group = map(int, of_kind("USER", FINAL)[0].split(":"))
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (user, group, group)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, "JOBD_SERVICE_HOST would be an unknown setting"
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"].endswith(f"/jobd:{version('jobd')}")
    assert {"cpu", "memory"} == container["resources"]["requests"].keys()
    assert {"memory"} == container["resources"]["limits"].keys()
    _require_mounts(pod)


def _require_mounts(pod: dict[str, Any]) -> None:
    """What is mounted is there, bounded, and holds the files that are named."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
    assert len(mounts) == len(volumes)
    assert "emptyDir" in mounts["/tmp"], "the daemon's copies of files go there"  # noqa: S108  a path of the pod
    assert all(volume["emptyDir"]["sizeLimit"] for volume in volumes.values() if "emptyDir" in volume)
    variables = environment_of(pod)
    for name in ("JOBD_SPOOL", "JOBD_IMPORT_ROOTS"):
        assert name not in variables or variables[name] in mounts
    secrets = {one["metadata"]["name"]: one["stringData"] for one in manifests() if one["kind"] == "Secret"}
    for name, path in variables.items():
        if name.endswith("_FILE"):
            directory, _, key = path.rpartition("/")
            assert key in secrets[mounts[directory]["secret"]["secretName"]]


def test_all_that_selects_pods_selects_those_of_the_deployment() -> None:
    deployment = manifest("Deployment")
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    spread = template["spec"]["topologySpreadConstraints"]
    selectors = [
        deployment["spec"]["selector"],
        manifest("PodDisruptionBudget")["spec"]["selector"],
        manifest("PodMonitor")["spec"]["selector"],
        manifest("NetworkPolicy")["spec"]["podSelector"],
        *(one["labelSelector"] for one in spread),
    ]
    for selector in selectors:
        assert selector["matchLabels"].items() <= labels.items()
    job = manifest("Job")
    of_job = job["spec"]["template"]["metadata"]["labels"]
    assert not deployment["spec"]["selector"]["matchLabels"].items() <= of_job.items()
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= of_job.items()
    assert manifest("PodMonitor")["spec"]["jobLabel"] in labels, "the rules count on job=jobd"
    assert labels[manifest("PodMonitor")["spec"]["jobLabel"]] == "jobd"


def test_the_migration_is_that_of_the_release_and_sees_the_owners_password_alone() -> None:
    job = manifest("Job")
    assert job["metadata"]["name"].endswith(version("jobd"))
    assert pod_of(job)["containers"][0]["args"] == ["migrate"]
    assert pod_of(manifest("Deployment"))["containers"][0]["args"] == ["run"]
    secrets = [
        {volume["secret"]["secretName"] for volume in pod_of(one)["volumes"] if "secret" in volume}
        for one in workloads()
    ]
    assert secrets == [{"jobd-database"}, {"jobd-database-owner"}]
