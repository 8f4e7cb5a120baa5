"""Decides whether traces are sent, by OpenTelemetry's own variables, and loads what that takes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobd import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.tracing.spans import Tracing

PROTOCOL = "http/protobuf"

_log = log.get("tracing")


def start(variables: Mapping[str, str], version: str, instance: str) -> Tracing | None:
    """Begin to trace where the variables name a receiver; None where nothing is to be traced.

    Traces are never a reason not to work: what is wrong with the variables is a line in the log.
    """
    endpoint = _value(variables, "ENDPOINT")
    is_off = variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if endpoint is None or is_off or variables.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return None
    reason = _obstacle(variables, endpoint)
    if reason is not None:
        _log.warning("traces are not sent", reason=reason)
        return None
    try:
        tracing = _begin(version, instance)
    except Exception as error:  # noqa: BLE001  whatever the library thinks of its variables
        reason = "OpenTelemetry does not take its variables (OTEL_…)"
        _log.warning("traces are not sent", reason=reason, error=error)
        return None
    _log.info("traces are sent", host=urlsplit(endpoint).hostname)
    return tracing


def _obstacle(variables: Mapping[str, str], endpoint: str) -> str | None:
    """Why they cannot be sent although they are wanted, and what to do."""
    exporters = variables.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if "otlp" not in [name.strip() for name in exporters.split(",")]:
        return "jobd sends traces by OTLP only: set OTEL_TRACES_EXPORTER to otlp, or to none"
    if (_value(variables, "PROTOCOL") or PROTOCOL) != PROTOCOL:
        return (
            f"jobd sends traces over HTTP only: set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to {PROTOCOL} and "
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to the receiver's address for it, like http://collector:4318/v1/traces"
        )
    if not _is_url(endpoint):
        return "the OTLP endpoint must be a URL like http://collector:4318"
    if not _is_installed():
        return "OpenTelemetry is not installed: pip install 'jobd[otel]'"
    return None


def _is_url(endpoint: str) -> bool:
    """Whether spans can be sent there."""
    try:
        parts = urlsplit(endpoint)
        _ = parts.port  # which is looked at only now
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname is not None


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.sdk.trace") is not None and (
            find_spec("opentelemetry.exporter.otlp.proto.http") is not None
        )
    except ImportError:
        return False


def _value(variables: Mapping[str, str], name: str) -> str | None:
    """Of the two variables the one for traces alone goes first; an empty one is none."""
    for variable in (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
        value = variables.get(variable, "").strip()
        if value:
            return value
    return None


def _begin(version: str, instance: str) -> Tracing:
    from opentelemetry import trace  # noqa: PLC0415  see above: loaded only where it is wanted
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    from jobd.tracing.exporter import QuietExporter  # noqa: PLC0415
    from jobd.tracing.spans import Tracing  # noqa: PLC0415

    # What the variables say of the service goes before what jobd would call itself.
    told = OTELResourceDetector().detect().attributes
    own = {"service.name": "jobd", "service.version": version, "service.instance.id": instance}
    resource = Resource.create({name: value for name, value in own.items() if name not in told})
    # The daemon has the rest sent at its own end, within a time; at the interpreter's end nothing would bound it.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(QuietExporter()))
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)  # for spans of handlers, where they have set none of their own
    return Tracing(provider, version)
