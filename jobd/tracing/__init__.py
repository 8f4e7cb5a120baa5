"""Traces by OpenTelemetry: a span per attempt at a job and one per batch, in the trace of the job's submitter.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` names a receiver and ``jobd[otel]`` is installed: else nothing of
OpenTelemetry is loaded, and the parts that run jobs have None in place of a :class:`~jobd.tracing.spans.Tracing`.

An attempt's span is a child of the submitter's, and not the root of a trace of its own: one job is one message,
and nothing else is its context, as a lane has no span. So a request, its job and the batches are one trace under
one sampling decision, and each further attempt is one more child. It also has a link to the submitter's span, as
the conventions for messaging want for each message: by it tools find what was sent and what became of it.
"""
