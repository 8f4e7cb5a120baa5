"""Which traceparent is one, and when traces are sent."""

from __future__ import annotations

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from jobd.tracing.start import start
from jobd.tracing.traceparent import parse, with_current

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.mark.parametrize("value", [HEADER, f"cc-{TRACE_ID}-{SPAN_ID}-01", f"cc-{TRACE_ID}-{SPAN_ID}-01-more"])
def test_a_traceparent_is_read_also_in_versions_to_come(value: str) -> None:
    assert parse(value) == (int(TRACE_ID, 16), int(SPAN_ID, 16), 1)


@pytest.mark.parametrize(
    "value",
    [
        None, 1, {}, "", "00", f"ff-{TRACE_ID}-{SPAN_ID}-01", f"{HEADER}-more", f" {HEADER}", f"{HEADER}\n",
        f"00-{'0' * 32}-{SPAN_ID}-01", f"00-{TRACE_ID}-{'0' * 16}-01", HEADER.upper(), f"00-{TRACE_ID}-{SPAN_ID}",
        f"cc-{TRACE_ID}-{SPAN_ID}-01-{'x' * 1000}", f"00-{TRACE_ID}-{SPAN_ID}-1\N{ARABIC-INDIC DIGIT ONE}",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_passed_over(value: object) -> None:
    assert parse(value) is None


def test_metadata_get_the_current_span_unless_they_name_one() -> None:
    span = NonRecordingSpan(SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), False, TraceFlags(1)))
    assert with_current(None) is None
    assert with_current({"a": 1}, otherwise="nonsense") == {"a": 1}
    assert with_current({"a": 1}, otherwise=HEADER) == {"a": 1, "traceparent": HEADER}
    with trace.use_span(span):
        assert with_current(None) == {"traceparent": HEADER}
        assert with_current({"a": 1}, otherwise="00-") == {"a": 1, "traceparent": HEADER}
        assert with_current({"traceparent": "mine"}) == {"traceparent": "mine"}


URL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {**URL, "OTEL_SDK_DISABLED": "TRUE"},
        {**URL, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_said_where_no_traces_are_wanted(variables: dict[str, str]) -> None:
    with structlog.testing.capture_logs() as logged:
        assert start(variables, "1", "a") is None
    assert logged == []


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({**URL, "OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
        ({**URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "must be a URL"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:port"}, "must be a URL"),
    ],
)
def test_traces_that_cannot_be_sent_are_said_and_stop_nothing(variables: dict[str, str], reason: str) -> None:
    with structlog.testing.capture_logs() as logged:
        assert start(variables, "1", "a") is None
    (line,) = logged
    assert line["event"] == "traces are not sent"
    assert reason in line["reason"]


def test_variables_that_the_library_refuses_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000")  # more than the queue holds
    with structlog.testing.capture_logs() as logged:
        assert start({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, "1", "a") is None
    assert [line["event"] for line in logged] == ["traces are not sent"]
