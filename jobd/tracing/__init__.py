"""Traces by OpenTelemetry: a span per attempt at a job and one per batch, in the trace of the job's submitter.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` names a receiver and ``jobd[otel]`` is installed: else nothing of
OpenTelemetry is loaded, and the parts that run jobs have None in place of a :class:`~jobd.tracing.spans.Tracing`.

An attempt's span is a child of the submitter's, not the root of a trace that links to it. The conventions for
messaging allow that where a span is about one message and nothing else is its context, which holds here: one job
is one message, and a lane has no span of its own. So a request, its job and the batches are one trace under one
sampling decision, and each further attempt is one more child.
"""
