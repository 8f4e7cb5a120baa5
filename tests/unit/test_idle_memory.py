"""An idle daemon keeps little in memory: the import path and what it needs are loaded by the first import."""

from __future__ import annotations

import subprocess
import sys

LOADED = (
    "import jobd.process, jobd.handlers.registry, jobd.cli.app, jobd.cli.run, sys;"
    "from jobd.tracing import start, traceparent;"
    "print(end=start.start({'OTEL_SERVICE_NAME': 'a'}, '1', 'a') or traceparent.current() or '');"
    "unwanted = {'numpy', 'msgspec', 'jsonschema_rs', 'obstore', 'jobd.sources', 'jobd.importing',"
    "            'opentelemetry', 'requests', 'google'};"
    "print(*sorted(unwanted & sys.modules.keys()))"
)


def test_what_only_imports_need_is_not_loaded_at_the_start() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
